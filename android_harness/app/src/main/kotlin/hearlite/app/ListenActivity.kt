package hearlite.app

import android.Manifest.permission.RECORD_AUDIO
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.view.View
import android.widget.LinearLayout
import hearlite.core.AudioSource
import hearlite.core.HearliteException
import hearlite.core.Moment
import hearlite.core.Timeline
import hearlite.core.WavFile

/** Records, or reads a WAV file, and shows how alike its moments are: the first screen. */
class ListenActivity : Screen() {
    private val timeline by lazy { TimelineView(this) { status.text = "Compared with the sound at %.1f s%s".format(it.startS, scores(it)) } }
    private val model by lazy { ShippedModel.open(assets) } // on the worker: it hashes the file

    @Volatile private var microphone: Microphone? = null

    override fun views(): List<View> {
        timeline.layoutParams = LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f)
        return listOf(
            button("Record or stop", ::recordOrStop),
            button("Open a WAV file", ::pick),
            button("Benchmark") { startActivity(Intent(this, BenchActivity::class.java)) },
            timeline,
        )
    }

    override fun onStop() {
        stopRecording()
        super.onStop()
    }

    /** "; label 0.93, ..." of a file with a head. */
    private fun scores(moment: Moment): String {
        val labels = model.manifest.head?.labels ?: return ""
        return labels.indices.joinToString(prefix = "; ") { "${labels[it].name} %.2f".format(moment.scores[it]) }
    }

    private fun recordOrStop() {
        if (stopRecording()) return
        if (checkSelfPermission(RECORD_AUDIO) != PackageManager.PERMISSION_GRANTED) return requestPermissions(arrayOf(RECORD_AUDIO), ASK_TO_RECORD)
        inBackground {
            listen("Recording") { Microphone(model.manifest).also { microphone = it } }
        }
    }

    private fun stopRecording(): Boolean = microphone?.let {
        microphone = null
        it.stop()
    } != null

    override fun onRequestPermissionsResult(code: Int, permissions: Array<out String>, results: IntArray) {
        if (code == ASK_TO_RECORD && results.firstOrNull() == PackageManager.PERMISSION_GRANTED) recordOrStop()
    }

    private fun pick() {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("audio/*")
        startActivityForResult(intent, PICK)
    }

    override fun onActivityResult(code: Int, result: Int, data: Intent?) {
        val uri = data?.data
        if (code == PICK && result == RESULT_OK && uri != null) inBackground { listen("Reading") { wav(uri) } }
    }

    private fun wav(uri: Uri): AudioSource {
        val stream = contentResolver.openInputStream(uri) ?: throw HearliteException("$uri can't be opened", "choose another file")
        return WavFile(stream, uri.lastPathSegment ?: "the file", model.manifest.pcmFullScale)
    }

    private fun listen(what: String, open: () -> AudioSource) {
        val moments = ArrayList<Moment>()
        model.embedder(THREADS).use { embedder ->
            open().use { source ->
                show { status.text = "$what at ${source.sampleRateHz} Hz; resampled to ${model.manifest.sampleRateHz} Hz if that differs" }
                Timeline.of(source, model.manifest, embedder, HOP_S) { found ->
                    moments += found
                    val soFar = moments.toList()
                    show { timeline.moments = soFar }
                }
            }
        }
        show { status.text = "${moments.size} moments; touch one to compare the others with it" }
    }

    private companion object {
        const val ASK_TO_RECORD = 1
        const val PICK = 2
        const val THREADS = 1 // a clip takes milliseconds; more threads cost more battery than they save time
        const val HOP_S = 0.5 // between bars; a quarter of what the model hears at once is enough for the eye
    }
}
