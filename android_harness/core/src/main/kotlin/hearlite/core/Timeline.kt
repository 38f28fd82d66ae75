package hearlite.core

import kotlin.math.roundToInt

/** The embedding `[dim]` of the window that starts [startS] seconds into a sound, and the scores `[labels]` of a file with a [Head]. */
class Moment(val startS: Double, val embedding: FloatArray, val scores: FloatArray = FloatArray(0))

/**
 * A stream of sound, at any rate, to the embedding of a window every [hopS] seconds: resampling, windows and inference in one place.
 *
 * @param sourceRateHz of the samples that are pushed, mono in [-1, 1)
 */
class Timeline(private val manifest: Manifest, private val embedder: Embedder, sourceRateHz: Int, val hopS: Double) {
    private val resampler = Resampler(sourceRateHz, manifest.sampleRateHz, manifest.highHz, manifest.pcmFullScale)
    private val windower = Windower(manifest.clipSamples, (hopS * manifest.sampleRateHz).roundToInt())

    /** The moments that the first [count] of [samples] complete. */
    fun push(samples: FloatArray, count: Int = samples.size): List<Moment> = buildList {
        windower.push(resampler.push(samples, count)) { first, window -> add(moment(first, window)) }
    }

    /** The sound has ended: what is left of it. */
    fun finish(): List<Moment> = buildList {
        windower.push(resampler.finish()) { first, window -> add(moment(first, window)) }
        windower.finish { first, window -> add(moment(first, window)) }
    }

    private fun moment(first: Long, window: FloatArray): Moment {
        val found = embedder.infer(window)
        requireFinite("values", found.embedding, manifest.dim)
        requireFinite("scores", found.scores, manifest.head?.labels?.size ?: 0)
        return Moment(first.toDouble() / manifest.sampleRateHz, found.embedding, found.scores)
    }

    private fun requireFinite(what: String, values: FloatArray, expected: Int) {
        if (values.size != expected || values.any { !it.isFinite() }) {
            throw HearliteException("${embedder.runtime} returned ${values.size} $what, or NaN", "expected $expected: is it of this file?")
        }
    }

    companion object {
        /** All moments of [source], which is read to its end; [onMoments] hears of them as they come. */
        fun of(source: AudioSource, manifest: Manifest, embedder: Embedder, hopS: Double, onMoments: (List<Moment>) -> Unit = {}): List<Moment> {
            val timeline = Timeline(manifest, embedder, source.sampleRateHz, hopS)
            return source.readAll(timeline::push, timeline::finish, onMoments)
        }
    }
}
