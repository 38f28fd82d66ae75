package hearlite.core

/** A classifier behind the embedding, as the manifest describes it (`hearlite/head.py`). A research tool: a score is no diagnosis. */
class Head(
    /** sigmoid: a score for each label by itself; softmax: one label of several, scores sum to 1. */
    val kind: String,
    /** Name of the second output: float32 `[1, labels]` in [0, 1]. */
    val output: String,
    /** In the order of the scores. */
    val labels: List<HeadLabel>,
    /** `[labels]`, of the golden sound. */
    val goldenScores: FloatArray,
) {
    /** The labels that [scores] call: of a sigmoid those that reach their threshold, of a softmax the one with the highest score. */
    fun called(scores: FloatArray): List<HeadLabel> {
        if (scores.size != labels.size) throw HearliteException("${scores.size} scores for ${labels.size} labels", "use those of this file")
        if (kind == SOFTMAX) return listOf(labels[scores.indices.maxBy { scores[it] }])
        return labels.filterIndexed { index, label -> scores[index] >= label.threshold }
    }

    companion object {
        private const val SOFTMAX = "softmax"
        private val KINDS = listOf("sigmoid", SOFTMAX)
        private const val MAX_NAME = 100 // head.py's

        internal fun parse(json: JsonObject, where: String): Head {
            val kind = json.string("kind")
            if (kind !in KINDS) throw HearliteException("$where: head: kind is $kind, this library reads $KINDS", "update the library")
            val labels = json.tables("labels").map { HeadLabel(it.string("name"), it.number("auroc"), it.number("threshold")) }
            val names = labels.map { it.name }
            if (names.isEmpty() || names.toSet().size != names.size) refuse(where, "labels are $names", "different ones, at least one")
            for (label in labels) {
                if (label.name.length !in 1..MAX_NAME || label.name.any(Char::isISOControl)) {
                    refuse(where, "a label is ${toJson(label.name.take(2 * MAX_NAME))}", "1 to $MAX_NAME printable characters")
                }
                if (label.threshold !in 0.0..1.0) refuse(where, "the threshold of ${label.name} is ${label.threshold}", "0 to 1")
            }
            val golden = json.floats("golden_scores")
            if (golden.size != labels.size) refuse(where, "golden_scores has ${golden.size} values", "${labels.size}, one for each label")
            return Head(kind, json.string("output"), labels, golden)
        }

        private fun refuse(where: String, found: String, allowed: String): Nothing =
            throw HearliteException("$where: head: $found, expected $allowed", "the manifest was edited; export the file again")
    }
}

/**
 * One score of a [Head]. [auroc] is out of fold, on the subjects that the head was fitted to; [threshold] was chosen on the same scores.
 * Where the manifest's head has `adapted_from`, [auroc] says how well the scores agree with another head, and [threshold] is 0.5.
 */
class HeadLabel(val name: String, val auroc: Double, val threshold: Double)
