package hearlite.core

import kotlin.math.round

/**
 * Finds events in sound as it comes, at any rate: resampling, windows, inference and [EventDetector] in one place (`hearlite/events/stream.py`).
 *
 * Events come out when they have ended and the windows that hold them have been heard, about the length of a window later. How the sound is cut into
 * pieces makes no difference.
 *
 * @param embedder of a file with scores over time
 * @param sourceRateHz of the samples that are pushed, mono in [-1, 1)
 * @param startS time of the first sample, added to all times
 * @param rules the manifest's, or others for the same classes and steps
 * @param keepScores whether [timeline] is kept
 * @param personal heads of the file, whose sounds are found beside its own events; they score whole windows, so that a sound is placed within half of one
 */
class EventStream(
    private val manifest: Manifest,
    private val embedder: Embedder,
    private val sourceRateHz: Int,
    startS: Double = 0.0,
    rules: EventRules = rulesOf(manifest),
    private val keepScores: Boolean = false,
    private val personal: List<PersonalHead> = emptyList(),
) {
    private val steps = stepsOf(manifest, rules)
    private val ownClasses = rules.classes.size

    /** Of all classes, personal heads' last: for an [EventLog]. */
    val rules: EventRules = withPersonal(rules, personal, manifest)
    private val stepSamples = manifest.clipSamples / steps.count
    private val kept = ArrayList<FloatArray>()
    private var sound = Sound(startS)

    /** With `keepScores`, the scores `[classes]` of all steps so far. */
    val timeline: List<FloatArray> get() = kept

    /** Time up to which sound has been pushed, in seconds. */
    val heardS: Double get() = sound.startS + sound.received.toDouble() / sourceRateHz

    /** The events that end with the first [count] of [samples]. */
    fun push(samples: FloatArray, count: Int = samples.size): List<Event> = sound.push(samples, count)

    /** The sound has ended: the events that are left. [restart] before another [push]. */
    fun finish(): List<Event> = sound.finish()

    /** The events that are left; goes on with sound that starts at [startS], after a gap. */
    fun restart(startS: Double): List<Event> = finish().also { sound = Sound(startS) }

    /** A sound without gaps. */
    private inner class Sound(val startS: Double) {
        var received = 0L
        private val resampler = Resampler(sourceRateHz, manifest.sampleRateHz, manifest.highHz, manifest.pcmFullScale)
        private val scores = ScoreTimeline(steps.count, rules.classes.size)
        private val windower = Windower(manifest.clipSamples, scores.hop * stepSamples, gridSamples = stepSamples)
        private val detector = EventDetector(rules, startS)

        fun push(samples: FloatArray, count: Int): List<Event> = buildList {
            received += count
            windower.push(resampler.push(samples, count)) { first, window -> addAll(hear(first, window)) }
        }

        fun finish(): List<Event> {
            val found = ArrayList<Event>()
            windower.push(resampler.finish()) { first, window -> found += hear(first, window) }
            windower.finish { first, window -> found += hear(first, window) }
            val total = windower.received
            val sounding = (total + stepSamples - 1) / stepSamples - scores.first // the other steps hold zeros alone
            found += found(scores.finish().take(maxOf(0L, sounding).toInt())) + detector.finish()
            val endS = startS + total.toDouble() / manifest.sampleRateHz
            return found.map { it.copy(endS = minOf(it.endS, endS)) }
        }

        private fun hear(first: Long, window: FloatArray): List<Event> {
            val clip = rounded(window)
            // A normalized spectrogram of silence is one of rounding errors.
            val heard = if (isSilent(clip)) FloatArray(steps.count * rules.classes.size) else score(clip)
            return found(scores.add(first / stepSamples, heard))
        }

        private fun found(rows: List<FloatArray>): List<Event> {
            if (keepScores) kept += rows
            return detector.push(rows)
        }
    }

    private fun score(clip: FloatArray): FloatArray {
        val inference = embedder.infer(clip)
        val found = inference.stepScores
        val expected = steps.count * ownClasses
        if (found.size != expected || found.any { !it.isFinite() }) {
            throw HearliteException("${embedder.runtime} returned ${found.size} scores over time, or NaN", "expected $expected: is it of this file?")
        }
        if (personal.isEmpty()) return found
        val added = personal.map { it.score(inference.embedding).toFloat() }
        val all = rules.classes.size
        return FloatArray(steps.count * all) { if (it % all < ownClasses) found[it / all * ownClasses + it % all] else added[it % all - ownClasses] }
    }

    /** [window] in whole steps of int16, as the clips of every dataset are. */
    private fun rounded(window: FloatArray): FloatArray {
        if (window.any { !it.isFinite() }) throw HearliteException("the sound holds NaN or infinite samples", "look at where it comes from")
        val scale = manifest.pcmFullScale.toFloat()
        return FloatArray(window.size) { round(window[it] * scale).toInt().coerceIn(Short.MIN_VALUE.toInt(), Short.MAX_VALUE.toInt()) / scale }
    }

    /** Whether the peak, or the range around a constant offset, is below one step of int16. */
    private fun isSilent(clip: FloatArray): Boolean {
        val step = 1f / manifest.pcmFullScale
        val (low, high) = clip.min() to clip.max()
        return maxOf(-low, high) < step || high - low < step
    }

    companion object {
        /** All events of [source], which is read to its end; [onEvents] hears of them as they come. */
        fun of(source: AudioSource, manifest: Manifest, embedder: Embedder, onEvents: (List<Event>) -> Unit = {}): List<Event> {
            val stream = EventStream(manifest, embedder, source.sampleRateHz)
            return source.readAll(stream::push, stream::finish, onEvents)
        }

        private fun rulesOf(manifest: Manifest): EventRules = manifest.events
            ?: throw HearliteException("${manifest.name}: its manifest has no rules for events", "use a file whose head is one of events")

        /** [rules] with a class for each personal head, which begins and ends at one score: windows around a sound are averaged, which tapers it. */
        private fun withPersonal(rules: EventRules, personal: List<PersonalHead>, manifest: Manifest): EventRules {
            personal.forEach { it.requireOf(manifest) }
            val classes = rules.classes + personal.map { EventClass(it.label, it.threshold, it.threshold) }
            return EventRules(rules.stepS, classes, rules.shortestS, rules.gapS).also { it.requireValid("rules for events with personal heads") }
        }

        private fun stepsOf(manifest: Manifest, rules: EventRules): Steps {
            rules.requireValid("rules for events of ${manifest.name}")
            val steps = manifest.steps
            if (steps == null || steps.scores.isEmpty() || manifest.head?.labels?.size != rules.classes.size || steps.stepS != rules.stepS) {
                throw HearliteException(
                    "${manifest.name}: its head and steps don't fit rules for events of ${rules.classes.map { it.label }} in steps of ${rules.stepS} s",
                    "change thresholds and lengths of the manifest's rules, not classes or steps",
                )
            }
            return steps
        }
    }
}
