package hearlite.app

import android.app.Activity
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import java.util.concurrent.Executors

/** A screen: views in a column, a line that says what goes on, and one worker thread, so that nothing heavy runs where views are drawn. */
abstract class Screen : Activity() {
    private val worker = Executors.newSingleThreadExecutor()

    @Volatile private var busy = false
    protected lateinit var status: TextView
        private set

    /** The views under the status line. */
    protected abstract fun views(): List<View>

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON) // a dimmed phone clocks its cores down
        status = TextView(this)
        val column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true // Android 15 draws apps under the system's bars
        }
        column.addView(TextView(this).apply { text = "A research tool, never a diagnostic." })
        column.addView(status)
        views().forEach(column::addView)
        setContentView(column)
    }

    override fun onDestroy() {
        worker.shutdownNow()
        super.onDestroy()
    }

    /** Runs [work] on the worker, unless it has work. Whatever that raises is shown: a user can read it and a developer needs it. */
    protected fun inBackground(work: () -> Unit) {
        if (busy) return
        busy = true
        worker.execute {
            try {
                work()
            } catch (error: Exception) {
                show { status.text = error.message ?: error.toString() }
            } finally {
                busy = false
            }
        }
    }

    /** Runs [draw] where views are drawn, unless the screen is gone by then. */
    protected fun show(draw: () -> Unit) = runOnUiThread { if (!isDestroyed) draw() }

    protected fun button(label: String, onClick: () -> Unit) = Button(this).apply {
        text = label
        setOnClickListener { onClick() }
    }
}
