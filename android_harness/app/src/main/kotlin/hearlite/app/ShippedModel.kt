package hearlite.app

import android.content.res.AssetManager
import hearlite.core.AudioSource
import hearlite.core.Embedder
import hearlite.core.HearliteException
import hearlite.core.Manifest
import hearlite.core.WavFile

/** The files in assets/hearlite, which `hearlite export --platform android` wrote: one .tflite, its .json, and its golden WAV. Verified when opened. */
class ShippedModel private constructor(private val assets: AssetManager, private val tflite: String, val manifest: Manifest) {
    fun embedder(threads: Int): Embedder = LiteRtEmbedder.fromAssets(assets, tflite, manifest, threads)

    /** The clip of which the manifest holds the embedding. */
    fun golden(): AudioSource = WavFile(assets.open("$FOLDER/golden.wav"), "golden.wav", manifest.pcmFullScale)

    companion object {
        private const val FOLDER = "hearlite"

        /** Raises HearliteException when a file is missing or isn't the one that its manifest was written for. */
        fun open(assets: AssetManager): ShippedModel {
            val names = assets.list(FOLDER).orEmpty()
            val tflite = names.singleOrNull { it.endsWith(".tflite") }
                ?: throw HearliteException("assets/$FOLDER holds ${names.toList()}", "put what 'hearlite export --platform android' wrote there")
            val json = tflite.removeSuffix(".tflite") + ".json"
            if (json !in names) throw HearliteException("assets/$FOLDER holds no $json", "keep the .json beside the .tflite")
            val manifest = Manifest.parse(assets.open("$FOLDER/$json").use { it.readBytes().decodeToString() }, json)
            assets.open("$FOLDER/$tflite").use(manifest::verify)
            return ShippedModel(assets, "$FOLDER/$tflite", manifest)
        }
    }
}
