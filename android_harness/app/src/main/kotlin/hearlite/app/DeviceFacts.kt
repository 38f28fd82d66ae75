package hearlite.app

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import hearlite.core.Device

private val EMULATORS = listOf("goldfish", "ranchu") // Build.HARDWARE of Android's emulators, old and new

/** What a latency depends on besides the model: the device, and the state of its battery. */
fun deviceFacts(context: Context): Device {
    val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED)) // sticky: it is there at once
    fun number(key: String) = battery?.getIntExtra(key, -1) ?: -1
    val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager
    return Device(
        name = "${Build.MANUFACTURER} ${Build.MODEL}",
        os = "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})",
        abi = Build.SUPPORTED_ABIS.first(),
        cores = Runtime.getRuntime().availableProcessors(),
        batteryPercent = 100 * number(BatteryManager.EXTRA_LEVEL) / maxOf(1, number(BatteryManager.EXTRA_SCALE)),
        batteryCelsius = number(BatteryManager.EXTRA_TEMPERATURE) / 10.0, // Android gives tenths
        charging = number(BatteryManager.EXTRA_PLUGGED) > 0,
        powerSave = power.isPowerSaveMode,
        emulated = Build.HARDWARE in EMULATORS,
    )
}
