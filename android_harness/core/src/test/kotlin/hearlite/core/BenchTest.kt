package hearlite.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchTest {
    private val manifest = Manifest.parse(manifestText(), "m.json") // golden embedding [1.5, -2], of length 2.5
    private val device = device(emulated = false)

    private fun device(emulated: Boolean) = Device(
        "phone",
        "Android 15",
        "arm64-v8a",
        cores = 8,
        batteryPercent = 80,
        batteryCelsius = 30.5,
        charging = false,
        powerSave = false,
        emulated = emulated,
    )

    private fun parity(last: Int, rateHz: Int = 8, manifest: Manifest = this.manifest) =
        checkParity(EndsEmbedder(), manifest, WavFile(wav(rateHz, 1, 16, 1, pcm16(6, 0, 0, 0, 0, 0, 0, last)), "golden.wav", 4))

    @Test
    fun `parity is the distance over the length`() {
        assertEquals(0.0, parity(-8).relativeDifference, 0.0)
        assertTrue(parity(-8).passed && parity(-8).exact)
        assertEquals(0.1, parity(-7).relativeDifference, 1e-9)
        assertFalse(parity(-7).passed || parity(-7).exact)
        for (wrong in listOf(0.2, Double.NaN)) assertFalse(Parity(0.0, 0.05, exact = true, scoreDifference = wrong).passed)
        assertFalse(Parity(Double.NaN, 1.0, exact = false).passed)
    }

    @Test
    fun `parity needs the golden clip and a tolerance`() {
        assertTrue("windows at 4 Hz" in refused { parity(-8, rateHz = 4) })
        val old = Manifest.parse(manifestText("\"golden_tolerance\": 0.05, " to ""), "m.json")
        assertTrue("no golden_tolerance" in refused { parity(-8, manifest = old) })
    }

    @Test
    fun `latency leaves the warm-up out`() {
        val clock = listOf(100L, 1L, 1L, 2L, 3L, 4L).flatMap { listOf(0L, it * 1_000_000) }.iterator() // milliseconds of each call
        val embedder = EndsEmbedder()
        val latency = measureLatency(embedder, FloatArray(8), runs = 4, warmup = 2, nanoTime = { clock.next() })
        assertEquals(6, embedder.calls)
        assertEquals(listOf(100.0, 2.5, 1.15, 3.85, 2.5), with(latency) { listOf(coldMs, medianMs, p5Ms, p95Ms, meanMs) }.map { Math.round(it * 1e6) / 1e6 })
        assertTrue("runs is 0" in refused { measureLatency(embedder, FloatArray(8), runs = 0, warmup = 1) })
    }

    @Test
    fun `a report has latency only with parity`() {
        val latency = Latency(runs = 4, warmup = 1, coldMs = 9.0, medianMs = 2.5, p5Ms = 1.0, p95Ms = 4.0, meanMs = 2.5)
        val text = benchReport(manifest, "litert", 2, device, "2026-01-01", parity(-8), latency)
        val report = JsonReader(text, "report").read() as Map<*, *>
        assertEquals(setOf("schema", "model", "tflite_sha256", "runtime", "threads", "date", "device", "parity", "without_latency", "latency"), report.keys)
        assertEquals(2.5, (report["latency"] as Map<*, *>)["median_ms"])
        assertEquals(80.0, (report["device"] as Map<*, *>)["battery_percent"])
        assertTrue("\"latency\": null" in benchReport(manifest, "litert", 2, device, "2026-01-01", parity(-7), null))
        assertTrue("\"relative_difference\": null" in benchReport(manifest, "litert", 2, device, "2026-01-01", Parity(Double.NaN, 1.0, exact = false), null))
        assertEquals("emulated, not a latency", withoutLatency(device(emulated = true), parity(-8)))
        assertThrows(IllegalArgumentException::class.java) {
            benchReport(manifest, "litert", 2, device(emulated = true), "2026-01-01", parity(-8), latency)
        }
        assertThrows(IllegalArgumentException::class.java) { benchReport(manifest, "litert", 2, device, "2026-01-01", parity(-7), latency) }
    }
}
