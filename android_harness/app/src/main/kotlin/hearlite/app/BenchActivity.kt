package hearlite.app

import android.content.Intent
import android.view.View
import android.widget.ScrollView
import android.widget.TextView
import hearlite.core.Latency
import hearlite.core.Parity
import hearlite.core.benchReport
import hearlite.core.checkParity
import hearlite.core.measureLatency
import hearlite.core.withoutLatency
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale

/** First whether this device computes what the exporter computed, then how long it takes: the second screen. Shares the report as JSON. */
class BenchActivity : Screen() {
    private val report by lazy { TextView(this) }

    override fun views(): List<View> =
        THREADS.map { threads -> button("Run on $threads thread${if (threads > 1) "s" else ""}") { inBackground { run(threads) } } } +
            listOf(button("Share the report", ::share), ScrollView(this).apply { addView(report) })

    private fun run(threads: Int) {
        show { status.text = "Running" }
        val model = ShippedModel.open(assets)
        val manifest = model.manifest
        model.embedder(threads).use { embedder ->
            val parity = model.golden().use { checkParity(embedder, manifest, it) }
            val device = deviceFacts(this)
            val without = withoutLatency(device, parity)
            val latency = if (without.isEmpty()) measureLatency(embedder, goldenClip(model), RUNS, WARMUP) else null
            val date = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ssZ", Locale.ROOT).format(Date())
            val text = benchReport(manifest, embedder.runtime, threads, device, date, parity, latency)
            show {
                status.text = summary(parity, latency, without)
                report.text = text
            }
        }
    }

    private fun goldenClip(model: ShippedModel): FloatArray = FloatArray(model.manifest.clipSamples).also { clip ->
        model.golden().use { it.read(clip) }
    }

    private fun summary(parity: Parity, latency: Latency?, without: String): String {
        val differs = "the golden embedding differs by %.2g of its length, allowed %.2g".format(parity.relativeDifference, parity.tolerance)
        if (latency == null) return "Parity ${if (parity.passed) "passed" else "FAILED"}: $differs. No latency: $without."
        return "Parity passed: $differs. Median %.2f ms, p95 %.2f ms".format(latency.medianMs, latency.p95Ms)
    }

    private fun share() {
        if (report.text.isEmpty()) return
        val intent = Intent(Intent.ACTION_SEND).setType("application/json").putExtra(Intent.EXTRA_TEXT, report.text.toString())
        startActivity(Intent.createChooser(intent, "Share the report"))
    }

    private companion object {
        val THREADS = listOf(1, 2, 4)
        const val RUNS = 200 // p95 then rests on the slowest ten
        const val WARMUP = 20
    }
}
