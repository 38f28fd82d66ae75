package hearlite.core

import java.io.Closeable

/** A backend: runs the .tflite of one manifest. The app's is LiteRT; tests have LiteRT's desktop library, or a fake. */
interface Embedder : Closeable {
    /** What runs it, for reports, such as "litert 2.3.0 CPU". */
    val runtime: String

    /** float32 `[clipSamples]` in [-1, 1) at the manifest's rate -> float32 `[dim]`. Not from two threads at once. */
    fun embed(clip: FloatArray): FloatArray

    override fun close() {}
}
