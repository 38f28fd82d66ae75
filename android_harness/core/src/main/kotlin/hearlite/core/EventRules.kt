package hearlite.core

import java.util.concurrent.TimeUnit
import kotlin.math.round

/**
 * When a class of sounds begins and ends: an event begins where a score reaches [on], and reaches back and on over the steps that score [off] or
 * more.
 */
class EventClass(val label: String, val on: Double, val off: Double)

/** How scores over time become events (`hearlite/events/detector.py`). Lengths are in seconds, and rounded to whole steps. */
class EventRules(
    /** Between two scores of a class. */
    val stepS: Double,
    /** In the order of the scores. */
    val classes: List<EventClass>,
    /** Shorter events are left out. */
    val shortestS: Double,
    /** Gaps up to this are part of an event. */
    val gapS: Double,
) {
    /** Fewest steps of an event. */
    val shortestSteps: Int get() = maxOf(1, steps(shortestS))

    /** Most steps below [EventClass.off] that don't end an event. */
    val gapSteps: Int get() = steps(gapS)

    private fun steps(lengthS: Double): Int = round(lengthS / stepS).toInt() // half to even, as Python

    /** Raises HearliteException for values that have the right type but are not valid; [where] names the source. */
    fun requireValid(where: String) {
        val labels = classes.map { it.label }
        if (labels.isEmpty() || labels.toSet().size != labels.size) throw HearliteException("$where: classes of events are $labels", "expected distinct ones")
        for (wanted in classes) {
            if (!(0.0 < wanted.off && wanted.off <= wanted.on && wanted.on < 1.0)) {
                throw HearliteException(
                    "$where: events of ${wanted.label} begin at ${wanted.on} and end below ${wanted.off}",
                    "expected 0 < off <= on < 1",
                )
            }
        }
        if (!(stepS > 0.0 && stepS <= LONGEST_STEP_S && shortestS in 0.0..LONGEST_S && gapS in 0.0..LONGEST_S)) {
            throw HearliteException(
                "$where: steps of events are $stepS s, the shortest event $shortestS s, gaps $gapS s",
                "expected a step of more than 0 and at most $LONGEST_STEP_S s, the others 0 to $LONGEST_S s",
            )
        }
    }

    companion object {
        // detector.py's limits
        private const val LONGEST_STEP_S = 10.0
        private val LONGEST_S = TimeUnit.MINUTES.toSeconds(1).toDouble()

        /** Raises HearliteException unless the rules fit the file's [head] and [steps], as `hearlite/bundle.py` asks. */
        internal fun parse(json: JsonObject, head: Head?, steps: Steps?, where: String): EventRules {
            val classes = json.tables("classes").map { EventClass(it.string("label"), it.number("on"), it.number("off")) }
            val rules = EventRules(json.number("step_s"), classes, json.number("shortest_s"), json.number("gap_s"))
            rules.requireValid(where)
            val labels = classes.map { it.label }
            if (head?.labels?.map { it.name } != labels || steps == null || steps.scores.isEmpty()) {
                throw HearliteException("$where: it has rules for events of $labels", "expected a head with the same labels, and its scores over time")
            }
            if (rules.stepS != steps.stepS) {
                throw HearliteException("$where: steps are ${steps.stepS} s, those of events ${rules.stepS} s", "the manifest was edited; export the file again")
            }
            return rules
        }
    }
}
