package hearlite.core

import java.io.Closeable

/**
 * What a clip gives: its embedding `[dim]`, where the file has a [Head] the scores `[labels]`, and where it has scores over time these, step by step,
 * `[Steps.count * labels]`.
 */
class Inference(val embedding: FloatArray, val scores: FloatArray = FloatArray(0), val stepScores: FloatArray = FloatArray(0))

/** A backend: runs the .tflite of one manifest. The app's is LiteRT; tests have LiteRT's desktop library, or a fake. */
interface Embedder : Closeable {
    /** What runs it, for reports, such as "litert 2.3.0 CPU". */
    val runtime: String

    /** float32 `[clipSamples]` in [-1, 1) at the manifest's rate -> float32 `[dim]`. Not from two threads at once. */
    fun embed(clip: FloatArray): FloatArray

    /** As [embed], with the scores of a head and those over time: a backend for files with a head overrides it. */
    fun infer(clip: FloatArray): Inference = Inference(embed(clip))

    override fun close() {}
}
