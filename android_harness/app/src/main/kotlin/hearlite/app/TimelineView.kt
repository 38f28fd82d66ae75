package hearlite.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.view.MotionEvent
import android.view.View
import hearlite.core.Moment
import hearlite.core.cosine

/** A bar for each moment: its cosine to the reference moment, which a touch chooses. Up is alike, down is unlike; the reference is dark. */
@SuppressLint("ViewConstructor")
class TimelineView(context: Context, private val onReference: (Moment) -> Unit) : View(context) {
    private val paint = Paint()
    private var reference = 0
    var moments: List<Moment> = emptyList()
        set(value) {
            field = value
            reference = reference.coerceIn(0, maxOf(0, value.size - 1))
            invalidate()
        }

    override fun onDraw(canvas: Canvas) {
        val middle = height / 2f
        val barWidth = width.toFloat() / maxOf(1, moments.size)
        moments.forEachIndexed { index, moment ->
            val alike = cosine(moment.embedding, moments[reference].embedding).toFloat()
            paint.color = if (index == reference) Color.BLACK else if (alike >= 0) Color.BLUE else Color.RED
            val end = middle - alike * middle
            canvas.drawRect(index * barWidth, minOf(middle, end), (index + 1) * barWidth - 1, maxOf(middle, end), paint)
        }
        paint.color = Color.GRAY
        canvas.drawLine(0f, middle, width.toFloat(), middle, paint)
    }

    @SuppressLint("ClickableViewAccessibility")
    override fun onTouchEvent(event: MotionEvent): Boolean {
        if (moments.isEmpty()) return false
        reference = (event.x / width * moments.size).toInt().coerceIn(moments.indices)
        onReference(moments[reference])
        invalidate()
        return true
    }
}
