package hearlite.app

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import hearlite.core.AudioSource
import hearlite.core.HearliteException
import hearlite.core.Manifest
import hearlite.core.pcm16ToFloat

/** The microphone, mono, at the manifest's rate or else at [GUARANTEED_HZ], which core resamples. Needs the permission RECORD_AUDIO. */
class Microphone(private val manifest: Manifest) : AudioSource {
    private val recorder = listOf(manifest.sampleRateHz, GUARANTEED_HZ).firstNotNullOfOrNull(::recorder)
        ?: throw HearliteException("the microphone can't be opened at ${manifest.sampleRateHz} or $GUARANTEED_HZ Hz", "close other apps that record")
    private var pcm = ShortArray(0)
    override val sampleRateHz: Int = recorder.sampleRate

    @Volatile private var stopped = false

    init {
        recorder.startRecording()
    }

    override fun read(into: FloatArray): Int {
        if (stopped) return -1
        if (pcm.size < into.size) pcm = ShortArray(into.size)
        val count = recorder.read(pcm, 0, into.size)
        if (count < 0) throw HearliteException("the microphone failed with code $count", "start again")
        pcm16ToFloat(pcm, manifest.pcmFullScale, count).copyInto(into)
        return count
    }

    /** Ends the sound: a [read] that waits still gets its block, the next one -1. From any thread. */
    fun stop() {
        stopped = true
    }

    override fun close() {
        recorder.stop()
        recorder.release()
    }

    private companion object {
        const val GUARANTEED_HZ = 44100 // the one rate that AudioRecord's documentation promises on every device

        /** VOICE_RECOGNITION: the source that Android's compatibility definition (5.4.2) wants flat and without automatic gain. */
        @SuppressLint("MissingPermission")
        fun recorder(rateHz: Int): AudioRecord? {
            val least = AudioRecord.getMinBufferSize(rateHz, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT)
            if (least <= 0) return null
            val bytes = maxOf(least, rateHz * Short.SIZE_BYTES) // a second, so that no inference loses sound
            val source = MediaRecorder.AudioSource.VOICE_RECOGNITION
            val recorder = AudioRecord(source, rateHz, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT, bytes)
            if (recorder.state == AudioRecord.STATE_INITIALIZED) return recorder
            recorder.release()
            return null
        }
    }
}
