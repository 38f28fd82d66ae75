package hearlite.core

import java.io.Closeable

/** Mono sound, block by block: a [WavFile] here, a microphone in an app. */
interface AudioSource : Closeable {
    val sampleRateHz: Int

    /** Fills [into] from its start with float32 in [-1, 1); returns how many samples, -1 when the sound has ended. */
    fun read(into: FloatArray): Int
}

/** All that [push] and [finish] make of a source, which is read to its end; [onFound] hears of it as it comes. */
internal fun <T> AudioSource.readAll(push: (FloatArray, Int) -> List<T>, finish: () -> List<T>, onFound: (List<T>) -> Unit): List<T> {
    val block = FloatArray(BLOCK)
    val all = ArrayList<T>()
    while (true) {
        val count = read(block)
        val found = if (count < 0) finish() else push(block, count)
        all += found
        onFound(found)
        if (count < 0) return all
    }
}

private const val BLOCK = 4096 // samples to read at once: a tenth of a second, for progress
