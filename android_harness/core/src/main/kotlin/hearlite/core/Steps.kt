package hearlite.core

import java.util.concurrent.TimeUnit

/** A file's outputs over time, as the manifest describes them (`hearlite/tflite/steps.py`). */
class Steps(
    /** Of a window. */
    val count: Int,
    /** Seconds between the starts of two. */
    val stepS: Double,
    /** Name of the output float32 `[count, dim]`; empty: there is none. */
    val embedding: String,
    /** Name of the output float32 `[count, labels]` in [0, 1]; empty: there is none. */
    val scores: String,
) {
    companion object {
        // steps.py's limits
        private const val MOST = 10_000
        private val LONGEST_S = TimeUnit.MINUTES.toSeconds(1).toDouble()
        private val IDENTIFIER = Regex("[A-Za-z_][A-Za-z0-9_]{0,63}") // bundle.py's

        internal fun parse(json: JsonObject, where: String): Steps {
            val steps = Steps(json.int("count", least = 1), json.number("step_s"), json.string("embedding"), json.string("scores"))
            val names = listOf(steps.embedding, steps.scores).filter { it.isNotEmpty() }
            if (steps.count > MOST || !(steps.stepS > 0.0 && steps.stepS <= LONGEST_S) || names.isEmpty()) {
                throw HearliteException(
                    "$where: ${steps.count} steps of ${steps.stepS} s with outputs $names",
                    "expected 1 to $MOST of up to $LONGEST_S s each, and an output of them",
                )
            }
            for (name in names) {
                if (!IDENTIFIER.matches(name)) {
                    throw HearliteException("$where: an output over time is ${toJson(name)}", "expected an identifier of letters, digits and _")
                }
            }
            return steps
        }
    }
}
