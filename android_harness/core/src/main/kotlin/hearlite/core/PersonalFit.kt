package hearlite.core

import hearlite.core.PersonalHead.Companion.COSINE
import hearlite.core.PersonalHead.Companion.FEWEST
import hearlite.core.PersonalHead.Companion.LOGISTIC
import hearlite.core.PersonalHead.Companion.MOST
import hearlite.core.PersonalHead.Companion.direction
import hearlite.core.PersonalHead.Companion.dot
import hearlite.core.PersonalHead.Companion.sigmoid
import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln1p
import kotlin.math.sqrt

/** Fits a [PersonalHead], as `fit_head` of `hearlite/events/personal.py` does: its examples become golden vectors of the tests. */
internal object PersonalFit {
    private const val C = 100.0 // personal.py's LOGISTIC_C
    private val CUTS = 0.01..0.99 // of a threshold that is found
    private const val MOST_STEPS = 100
    private const val LEAST_SPREAD = 1e-10 // p(1 - p) of a point that is certain
    private const val SHORTEST_STEP = 1e-6
    private const val CLOSE = 1e-14 // relative change of the loss that ends the iteration
    private const val CLOSE_GAINS = 1e-9

    fun fit(
        examples: List<List<FloatArray>>,
        others: List<List<FloatArray>>,
        label: String,
        model: String,
        threshold: Double?,
    ): PersonalHead {
        if (examples.size !in FEWEST..MOST || examples.any { it.isEmpty() }) {
            throw HearliteException("there are ${examples.size} examples of $label", "use $FEWEST to $MOST")
        }
        if (threshold != null && !(threshold > 0.0 && threshold < 1.0)) throw HearliteException("the threshold is $threshold", "use one between 0 and 1")
        val parts = otherParts(others, examples.size)
        val own = ArrayList<Double>()
        val foreign = ArrayList<Double>()
        for (index in examples.indices) {
            val rest = parts.filterIndexed { place, _ -> place != index }.flatten()
            val part = fitted(examples.filterIndexed { place, _ -> place != index }, rest)
            own += examples[index].map { part.score(it) }.average() // as a step is scored: the mean of the windows that hold it
            for (piece in parts.getOrElse(index) { emptyList() }) foreign += piece.map { part.score(it) }
        }
        val cut = threshold ?: chosen(own, foreign)
        val whole = fitted(examples, others)
        return PersonalHead(
            label, whole.kind, model, whole.centre, whole.weights, whole.bias, cut,
            examples.size, others.sumOf { it.size }, own.count { it >= cut }, foreign.count { it >= cut },
        )
    }

    private fun fitted(examples: List<List<FloatArray>>, others: List<List<FloatArray>>): PersonalHead {
        val dim = examples[0][0].size
        if ((examples + others).flatten().any { it.size != dim }) throw HearliteException("embeddings differ in length", "use those of one file")
        val foreign = others.flatten()
        val centre = DoubleArray(dim) // a student's embeddings have a mean near 0 over its training sounds
        if (foreign.isEmpty()) {
            val mean = DoubleArray(dim)
            for (example in examples) for (window in example) {
                val unit = direction(window, centre)
                for (i in mean.indices) mean[i] += unit[i] / example.size / examples.size
            }
            val length = sqrt(dot(mean, mean))
            if (!(length > 0.0)) throw HearliteException("the examples are embedded as zeros", "record them again: they may be silent")
            return PersonalHead("", COSINE, "", centre, DoubleArray(dim) { mean[it] / length }, 0.0, 0.5, 0, 0, 0, 0)
        }
        for (window in foreign) for (i in centre.indices) centre[i] += window[i].toDouble() / foreign.size
        val own = examples.flatten()
        val points = (own + foreign).map { direction(it, centre) }
        val (dual, bias) = logistic(points, own.size)
        val weights = DoubleArray(dim)
        for ((point, share) in points.zip(dual.asList())) for (i in weights.indices) weights[i] += share * point[i]
        return PersonalHead("", LOGISTIC, "", centre, weights, bias, 0.5, 0, 0, 0, 0)
    }

    /**
     * Logistic regression with a penalty on the weights but not the bias, and balanced classes: the first [own] points are of the class. Newton's
     * method in the dual, where there is an unknown for each point: the weights are the sum of dual times point.
     */
    private fun logistic(points: List<DoubleArray>, own: Int): Pair<DoubleArray, Double> {
        val n = points.size
        val gram = Array(n) { i -> DoubleArray(n) { j -> if (j <= i) dot(points[i], points[j]) else 0.0 } }
        for (i in 0 until n) for (j in i + 1 until n) gram[i][j] = gram[j][i]
        val strength = DoubleArray(n) { C * n / (2.0 * if (it < own) own else n - own) }
        var dual = DoubleArray(n)
        var bias = 0.0
        fun values() = DoubleArray(n) { dot(gram[it], dual) + bias }
        fun loss(f: DoubleArray): Double =
            dual.indices.sumOf { strength[it] * softplus(if (it < own) -f[it] else f[it]) + 0.5 * dual[it] * (f[it] - bias) }
        var f = values()
        var now = loss(f)
        repeat(MOST_STEPS) {
            // Newton: (K + 1 / w) dual + bias = f + (t - p) / p(1 - p), and the dual sums up to 0; w = strength p(1 - p).
            val system = Array(n + 1) { i -> DoubleArray(n + 2) { j -> if (i < n && j < n) gram[i][j] else if ((i == n) != (j == n) && j <= n) 1.0 else 0.0 } }
            for (i in 0 until n) {
                val p = sigmoid(f[i])
                val spread = maxOf(p * (1.0 - p), LEAST_SPREAD)
                system[i][i] += 1.0 / (strength[i] * spread)
                system[i][n + 1] = f[i] + ((if (i < own) 1.0 else 0.0) - p) / spread
            }
            val next = solved(system)
            val (fromDual, fromBias) = dual to bias
            var step = 1.0
            val before = now
            do {
                dual = DoubleArray(n) { fromDual[it] + step * (next[it] - fromDual[it]) }
                bias = fromBias + step * (next[n] - fromBias)
                f = values()
                now = loss(f)
                step /= 2.0
            } while (now > before && step > SHORTEST_STEP)
            if (before - now <= CLOSE * abs(now)) return dual to bias
        }
        return dual to bias
    }

    /** The solution of a square system with its right side as the last column, by elimination with pivots. */
    private fun solved(rows: Array<DoubleArray>): DoubleArray {
        val n = rows.size
        for (column in 0 until n) {
            val pivot = (column until n).maxBy { abs(rows[it][column]) }
            rows[column] = rows[pivot].also { rows[pivot] = rows[column] }
            for (row in column + 1 until n) {
                val share = rows[row][column] / rows[column][column]
                if (share != 0.0) for (i in column..n) rows[row][i] -= share * rows[column][i]
            }
        }
        val found = DoubleArray(n)
        for (row in n - 1 downTo 0) {
            found[row] = (rows[row][n] - (row + 1 until n).sumOf { rows[row][it] * found[it] }) / rows[row][row]
        }
        return found
    }

    /** Deals the recordings of other sounds out to [count] parts; fewer recordings than parts are cut into pieces in time. */
    private fun otherParts(others: List<List<FloatArray>>, count: Int): List<List<List<FloatArray>>> {
        if (others.isEmpty()) return emptyList()
        val pieces = if (others.size >= count) others else others.flatMap { inPieces(it, count) }
        return List(count) { part -> pieces.filterIndexed { index, piece -> index % count == part && piece.isNotEmpty() } }
    }

    /** [count] pieces, of which the first are one longer where it can't be divided. */
    private fun inPieces(windows: List<FloatArray>, count: Int): List<List<FloatArray>> {
        var from = 0
        return List(count) { index ->
            val length = windows.size / count + if (index < windows.size % count) 1 else 0
            windows.subList(from, from + length).also { from += length }
        }
    }

    /** The middle of the thresholds that tell most examples from other sounds (Youden's J); the lowest example where there are none. */
    private fun chosen(own: List<Double>, foreign: List<Double>): Double {
        if (foreign.isEmpty()) return own.min().coerceIn(CUTS)
        val middles = (own + foreign).distinct().sorted().zipWithNext { low, high -> (low + high) / 2.0 }
        if (middles.isEmpty()) throw HearliteException("examples and other sounds are embedded alike", "check that they are different recordings")
        val gains = middles.map { cut -> own.count { it >= cut } / own.size.toDouble() - foreign.count { it >= cut } / foreign.size.toDouble() }
        val best = middles.filterIndexed { index, _ -> abs(gains[index] - gains.max()) <= CLOSE_GAINS }
        return best[best.size / 2].coerceIn(CUTS)
    }

    private fun softplus(x: Double): Double = maxOf(x, 0.0) + ln1p(exp(-abs(x)))
}
