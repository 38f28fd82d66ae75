package hearlite.core

import java.io.File

/** Real inference on the JVM: LiteRT's desktop library through `litert_bridge.c`, which `jvm_test.sh` compiles. For tests only. */
class LiteRtDesktop(model: File) : Embedder {
    private val handle = open(model.path)
    override val runtime = "litert desktop CPU"

    override fun embed(clip: FloatArray): FloatArray = run(handle, clip)

    override fun close() = close(handle)

    private companion object {
        init {
            System.load(File(Vectors.property("hearlite.bridge")).absolutePath)
        }

        @JvmStatic external fun open(path: String): Long

        @JvmStatic external fun run(handle: Long, clip: FloatArray): FloatArray

        @JvmStatic external fun close(handle: Long)
    }
}
