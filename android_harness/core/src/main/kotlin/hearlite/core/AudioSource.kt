package hearlite.core

import java.io.Closeable

/** Mono sound, block by block: a [WavFile] here, a microphone in an app. */
interface AudioSource : Closeable {
    val sampleRateHz: Int

    /** Fills [into] from its start with float32 in [-1, 1); returns how many samples, -1 when the sound has ended. */
    fun read(into: FloatArray): Int
}
