package hearlite.core

/** JSON text of maps, lists, strings, numbers, booleans and null. Refuses NaN and infinity, which JSON has no word for: write null. */
fun toJson(value: Any?): String = StringBuilder().also { write(value, it) }.toString()

private fun write(value: Any?, out: StringBuilder) {
    when (value) {
        null, is Boolean, is Int, is Long -> out.append(value)
        is Number -> {
            require(value.toDouble().isFinite()) { "$value can't be written as JSON" }
            out.append(value)
        }
        is String -> writeString(value, out)
        is Map<*, *> -> writeItems(value.entries, '{', '}', out) { (key, item) ->
            writeString(key as String, out)
            out.append(": ")
            write(item, out)
        }
        is FloatArray -> write(value.asList(), out)
        is Iterable<*> -> writeItems(value, '[', ']', out) { write(it, out) }
        else -> throw IllegalArgumentException("${value::class} can't be written as JSON")
    }
}

private fun <T> writeItems(items: Iterable<T>, open: Char, close: Char, out: StringBuilder, item: (T) -> Unit) {
    out.append(open)
    items.forEachIndexed { index, each ->
        if (index > 0) out.append(", ")
        item(each)
    }
    out.append(close)
}

private fun writeString(text: String, out: StringBuilder) {
    out.append('"')
    for (c in text) {
        when {
            c == '"' || c == '\\' -> out.append('\\').append(c)
            c < ' ' -> out.append("\\u%04x".format(c.code))
            else -> out.append(c)
        }
    }
    out.append('"')
}
