package hearlite.core

/**
 * A sound of one class, with its place in seconds from the start of the sound.
 *
 * @param score the highest of its steps, in [0, 1]
 * @param peakS the middle of that step
 */
data class Event(val label: String, val startS: Double, val endS: Double, val score: Double, val peakS: Double)

/**
 * Finds events in scores that come step by step: thresholds with hysteresis, merging and a shortest length. Equal scores give the events of
 * `hearlite/events/detector.py`.
 *
 * @param startS where the first step starts
 */
class EventDetector(private val rules: EventRules, private val startS: Double = 0.0) {
    private val open = Array(rules.classes.size) { Open() }
    private var steps = 0L

    /** The events that end with these steps, in the order in which they end; each of [scores] is a step's, `[classes]` in [0, 1]. */
    fun push(scores: List<FloatArray>): List<Event> = buildList {
        for (row in scores) {
            if (row.size != open.size) throw HearliteException("a step has ${row.size} scores", "expected ${open.size}, one for each class")
            for (index in row.indices) step(index, row[index].toDouble())?.let(::add)
            steps++
        }
    }

    /** The events that are still going on: the sound has ended. */
    fun finish(): List<Event> = open.indices.mapNotNull(::close)

    private fun step(index: Int, score: Double): Event? {
        val wanted = rules.classes[index]
        val state = open[index]
        if (score < wanted.off) {
            state.highFrom = NONE
            return if (state.first != NONE && steps - state.last > rules.gapSteps) close(index) else null
        }
        if (state.highFrom == NONE) state.highFrom = steps
        if (state.first == NONE && score >= wanted.on) {
            state.first = state.highFrom
            state.score = -1.0
        }
        if (state.first != NONE) {
            state.last = steps
            if (score > state.score) {
                state.score = score
                state.peak = steps
            }
        }
        return null
    }

    private fun close(index: Int): Event? {
        val state = open[index]
        open[index] = Open()
        if (state.first == NONE || state.last + 1 - state.first < rules.shortestSteps) return null
        return Event(
            rules.classes[index].label,
            startS = startS + state.first * rules.stepS,
            endS = startS + (state.last + 1) * rules.stepS,
            score = state.score,
            peakS = startS + (state.peak + 0.5) * rules.stepS,
        )
    }

    /** What is known of one class, in numbers of steps. */
    private class Open {
        var highFrom = NONE // first of the current run of steps that score `off` or more
        var first = NONE // of the event that is going on
        var last = NONE // its last step that scored `off` or more
        var peak = NONE
        var score = 0.0
    }

    private companion object {
        const val NONE = -1L
    }
}
