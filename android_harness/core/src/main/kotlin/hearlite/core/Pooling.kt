package hearlite.core

/** The mean of [vectors] by coordinate: one embedding `[dim]` for a sound of several windows. */
fun meanPool(vectors: List<FloatArray>): FloatArray {
    val sums = DoubleArray(dimOf(vectors))
    for (vector in vectors) for (i in sums.indices) sums[i] += vector[i].toDouble()
    return FloatArray(sums.size) { (sums[it] / vectors.size).toFloat() }
}

/** The largest of [vectors] by coordinate, `[dim]`. */
fun maxPool(vectors: List<FloatArray>): FloatArray = FloatArray(dimOf(vectors)) { i -> vectors.maxOf { it[i] } }

private fun dimOf(vectors: List<FloatArray>): Int {
    val dims = vectors.map { it.size }.distinct()
    if (dims.size != 1) throw HearliteException("embeddings to pool have dimensions $dims", "give one or more, all of the same file")
    return dims.single()
}
