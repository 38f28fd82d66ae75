package hearlite.core

import kotlin.math.abs
import kotlin.math.sqrt

/**
 * Whether this device computes what the exporter computed: distance from the golden embedding, of its length (`hearlite/self_test.py`'s measure), and
 * with a [Head] the largest difference of a score.
 *
 * @param exact every bit of the embedding is the exporter's
 * @param scoreDifference null without a head
 */
class Parity(val relativeDifference: Double, val tolerance: Double, val exact: Boolean, val scoreDifference: Double? = null) {
    val passed: Boolean get() = relativeDifference <= tolerance && (scoreDifference ?: 0.0) <= tolerance // NaN fails
}

/** Embeds the [golden] sound, the manifest's clip as a WAV, and compares. Raises HearliteException when the manifest or the sound can't be used. */
fun checkParity(embedder: Embedder, manifest: Manifest, golden: AudioSource): Parity {
    val tolerance = manifest.goldenTolerance
        ?: throw HearliteException("${manifest.name}: its manifest has no golden_tolerance", "export the file again with this version of hearlite")
    val moments = Timeline.of(golden, manifest, embedder, hopS = manifest.clipS)
    if (moments.size != 1 || golden.sampleRateHz != manifest.sampleRateHz) {
        throw HearliteException(
            "the golden sound has ${moments.size} windows at ${golden.sampleRateHz} Hz",
            "expected one clip of ${manifest.clipSamples} samples at ${manifest.sampleRateHz} Hz: 'hearlite export --platform android' writes it",
        )
    }
    val found = moments.single()
    return Parity(
        relativeDifference = relativeDifference(found.embedding, manifest.goldenEmbedding),
        tolerance = tolerance,
        exact = found.embedding.contentEquals(manifest.goldenEmbedding),
        scoreDifference = manifest.head?.goldenScores?.let { golden -> golden.indices.maxOf { abs(found.scores[it].toDouble() - golden[it]) } },
    )
}

/** |found - expected| / |expected|. */
internal fun relativeDifference(found: FloatArray, expected: FloatArray): Double {
    val difference = sqrt(found.indices.sumOf { (found[it].toDouble() - expected[it]).let { d -> d * d } })
    return difference / maxOf(sqrt(expected.sumOf { it.toDouble() * it }), LEAST_LENGTH)
}

private const val LEAST_LENGTH = 1e-6 // check.py's floor: an embedding of zeros has no length to compare with
