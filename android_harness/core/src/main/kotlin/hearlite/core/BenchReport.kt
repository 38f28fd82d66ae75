package hearlite.core

/** Where a benchmark ran: what an app knows of its device. */
class Device(
    val name: String,
    val os: String,
    val abi: String,
    val cores: Int,
    val batteryPercent: Int,
    val batteryCelsius: Double,
    val charging: Boolean,
    val powerSave: Boolean,
    val emulated: Boolean,
)

/** Why a benchmark of this device shows no latency; empty where it does. */
fun withoutLatency(device: Device, parity: Parity): String = when {
    device.emulated -> "emulated, not a latency"
    parity.passed -> ""
    else -> "parity failed, and times of a wrong computation say nothing"
}

/**
 * A device's benchmark as JSON, in the field names of hearlite's results.json. Without passed parity there is no latency, and an emulator has
 * none either: [withoutLatency] says why (`benchmarks/schema/device.py`).
 *
 * @param date ISO 8601
 * @param threads asked of the runtime
 */
fun benchReport(manifest: Manifest, runtime: String, threads: Int, device: Device, date: String, parity: Parity, latency: Latency?): String {
    val without = withoutLatency(device, parity)
    require(latency == null || without.isEmpty()) { "latency of what has none: $without" }
    return toJson(
        mapOf(
            "schema" to "hearlite-device-bench/1",
            "model" to manifest.name,
            "tflite_sha256" to manifest.tfliteSha256,
            "runtime" to runtime,
            "threads" to threads,
            "date" to date,
            "device" to mapOf(
                "name" to device.name,
                "os" to device.os,
                "abi" to device.abi,
                "cores" to device.cores,
                "battery_percent" to device.batteryPercent,
                "battery_celsius" to device.batteryCelsius,
                "charging" to device.charging,
                "power_save" to device.powerSave,
                "emulated" to device.emulated,
            ),
            "parity" to mapOf(
                "passed" to parity.passed,
                "exact" to parity.exact,
                "relative_difference" to parity.relativeDifference.takeIf(Double::isFinite),
                "score_difference" to parity.scoreDifference,
                "tolerance" to parity.tolerance,
            ),
            "without_latency" to without,
            "latency" to latency?.let {
                mapOf(
                    "runs" to it.runs,
                    "warmup" to it.warmup,
                    "cold_ms" to it.coldMs,
                    "median_ms" to it.medianMs,
                    "p5_ms" to it.p5Ms,
                    "p95_ms" to it.p95Ms,
                    "mean_ms" to it.meanMs,
                )
            },
        ),
    )
}
