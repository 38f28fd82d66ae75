package hearlite.core

import java.security.MessageDigest
import kotlin.math.exp
import kotlin.math.sqrt

/**
 * A head for one's own sound, fitted on the phone to a few examples of it, or read from a file of `hearlite enroll`
 * (`hearlite/events/personal.py`). The model stays as it is.
 *
 * [score] is the link of weights * direction(embedding - centre) + bias: the sigmoid for [LOGISTIC], (1 + x) / 2 for [COSINE].
 */
class PersonalHead internal constructor(
    val label: String,
    /** [LOGISTIC] or [COSINE]. */
    val kind: String,
    /** Of the file and output whose embeddings it takes, as [modelOf] has it. */
    val model: String,
    internal val centre: DoubleArray,
    internal val weights: DoubleArray,
    internal val bias: Double,
    /** Score at which an event begins, in (0, 1). */
    val threshold: Double,
    /** Recordings of the sound that it was fitted to. */
    val examples: Int,
    /** Windows of other sounds that it was fitted to. */
    val others: Int,
    /** How many examples reach the threshold when a head is fitted without them. */
    val found: Int,
    /** How many windows of other sounds do. */
    val mistaken: Int,
) {
    /** The score of an embedding, in [0, 1]. */
    fun score(embedding: FloatArray): Double {
        if (embedding.size != centre.size) {
            throw HearliteException("an embedding has ${embedding.size} values", "the personal head $label takes ${centre.size}")
        }
        val value = dot(direction(embedding, centre), weights) + bias
        return (if (kind == LOGISTIC) sigmoid(value) else (1.0 + value) / 2.0).coerceIn(0.0, 1.0)
    }

    /** What `hearlite listen --personal` and [parse] read. */
    fun toJson(): String = toJson(
        linkedMapOf(
            "label" to label, "kind" to kind, "model" to model, "centre" to centre.asList(), "weights" to weights.asList(), "bias" to bias,
            "threshold" to threshold, "examples" to examples, "others" to others, "found" to found, "mistaken" to mistaken, "schema" to SCHEMA,
        ),
    )

    /** Raises HearliteException unless it was fitted to embeddings of the file of [manifest]. */
    fun requireOf(manifest: Manifest) {
        if (model != modelOf(manifest)) {
            throw HearliteException("the personal head $label was fitted to another model than ${manifest.name}", "enroll the examples again with this one")
        }
    }

    companion object {
        const val SCHEMA = "hearlite-personal-head/1"
        const val LOGISTIC = "logistic"
        const val COSINE = "cosine"
        const val FEWEST = 3 // examples, to hold out one
        const val MOST = 100

        /** The model of embeddings of a file: the hash of its hash and its output's name, as in Python. */
        fun modelOf(manifest: Manifest): String =
            MessageDigest.getInstance("SHA-256").digest("${manifest.tfliteSha256}#${manifest.output}".toByteArray()).joinToString("") { "%02x".format(it) }

        /** Raises HearliteException that names [where] for text that is no personal head. */
        fun parse(text: String, where: String): PersonalHead {
            val json = JsonObject.parse(text, where)
            val schema = json.string("schema")
            if (schema != SCHEMA) throw HearliteException("$where: schema is $schema, this library reads $SCHEMA", "enroll the examples again")
            val head = PersonalHead(
                json.string("label"), json.string("kind"), json.string("model"), json.doubles("centre"), json.doubles("weights"), json.number("bias"),
                json.number("threshold"), json.int("examples", 0), json.int("others", 0), json.int("found", 0), json.int("mistaken", 0),
            )
            val finite = (head.centre.asList() + head.weights.asList() + head.bias).all { it.isFinite() }
            val fits = head.centre.size == head.weights.size && head.centre.isNotEmpty()
            if (head.label.isEmpty() || head.kind !in listOf(LOGISTIC, COSINE) || !fits || !finite || !(head.threshold > 0.0 && head.threshold < 1.0)) {
                throw HearliteException(
                    "$where: a personal head of kind ${head.kind}, ${head.weights.size} weights, threshold ${head.threshold}",
                    "expected a label, $LOGISTIC or $COSINE, as many weights as the embedding has values, and a threshold between 0 and 1",
                )
            }
            return head
        }

        /**
         * Fits a head to the embeddings of each example, and of each recording of other sounds if there are any. With some it is a logistic regression,
         * which is surer, without any the cosine to the examples' mean direction. The threshold is chosen by examples and other recordings that a head
         * is fitted without. Time grows with the cube of the number of windows: a few hundred take seconds.
         *
         * @param examples 3 to 100, the embeddings of one or more windows of each
         * @param others the embeddings of the windows of each other recording
         * @param model [modelOf] the manifest
         * @param threshold instead of the one that is found, in (0, 1)
         */
        fun fit(
            examples: List<List<FloatArray>>,
            others: List<List<FloatArray>>,
            label: String,
            model: String,
            threshold: Double? = null,
        ): PersonalHead = PersonalFit.fit(examples, others, label, model, threshold)

        internal fun direction(embedding: FloatArray, centre: DoubleArray): DoubleArray {
            val centred = DoubleArray(centre.size) { embedding[it] - centre[it] }
            val length = sqrt(dot(centred, centred))
            return if (length > 0.0) DoubleArray(centred.size) { centred[it] / length } else centred
        }

        internal fun dot(a: DoubleArray, b: DoubleArray): Double {
            var sum = 0.0
            for (i in a.indices) sum += a[i] * b[i]
            return sum
        }

        internal fun sigmoid(x: Double): Double = 1.0 / (1.0 + exp(-x))
    }
}
