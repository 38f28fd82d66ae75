package hearlite.core

/** The first [count] samples of int16 PCM as float32 in [-1, 1): x / [fullScale], the manifest's `pcm_full_scale`. */
fun pcm16ToFloat(pcm: ShortArray, fullScale: Int, count: Int = pcm.size): FloatArray {
    val scale = fullScale.toFloat()
    return FloatArray(count) { pcm[it] / scale }
}
