package hearlite.core

import kotlin.math.sqrt

/**
 * Cosine of two embeddings `[dim]` of the same file, in [-1, 1]; 0 when one of them is all zeros.
 *
 * It is the centred cosine of the reports: the file's embeddings are centred already. On vectors with a common offset a plain cosine is near 1 for
 * any two sounds.
 */
fun cosine(a: FloatArray, b: FloatArray): Double {
    if (a.size != b.size) throw HearliteException("embeddings have ${a.size} and ${b.size} dimensions", "compare those of one file")
    var dot = 0.0
    var aa = 0.0
    var bb = 0.0
    for (i in a.indices) {
        dot += a[i].toDouble() * b[i]
        aa += a[i].toDouble() * a[i]
        bb += b[i].toDouble() * b[i]
    }
    return if (aa == 0.0 || bb == 0.0) 0.0 else dot / sqrt(aa * bb)
}
