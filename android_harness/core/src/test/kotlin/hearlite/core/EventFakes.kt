package hearlite.core

/** [manifestText] of a file with scores over time and rules for events of "cough": 4 steps a window, with [changes] to what it says. */
fun eventManifestText(vararg changes: Pair<String, String>): String {
    val text = manifestText("\"golden_tolerance\"" to "$EVENTS, \"golden_tolerance\"")
    return changes.fold(text) { old, (from, to) -> old.replace(from, to).also { check(it != old) { "$from is not there" } } }
}

private const val EVENTS = """"head": {"kind": "sigmoid", "output": "scores", "golden_scores": [0.5],
    "labels": [{"name": "cough", "auroc": 0.9, "threshold": 0.5}]},
    "steps": {"count": 4, "step_s": 0.25, "embedding": "", "scores": "scores_steps"},
    "events": {"step_s": 0.25, "classes": [{"label": "cough", "on": 0.75, "off": 0.5}], "shortest_s": 0.25, "gap_s": 0.25}"""

/** Scores a step of two samples by the larger of them. */
class LoudestEmbedder(private val change: (FloatArray) -> FloatArray = { it }) : Embedder {
    override val runtime = "fake"
    val clips = ArrayList<FloatArray>()

    override fun embed(clip: FloatArray) = infer(clip).embedding

    override fun infer(clip: FloatArray): Inference {
        clips += clip
        return Inference(FloatArray(2), FloatArray(1), change(FloatArray(clip.size / 2) { maxOf(clip[2 * it], clip[2 * it + 1]) }))
    }
}
