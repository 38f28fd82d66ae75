package android.content.res

/** Stands in where no android.jar is on the classpath. */
class AssetManager private constructor()
