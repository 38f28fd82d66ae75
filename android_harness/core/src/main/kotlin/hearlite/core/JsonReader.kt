package hearlite.core

/** RFC 8259 text -> `Map<String, Any?>`, `List<Any?>`, `String`, `Double`, `Boolean` or null. Neither JVM nor Kotlin bring a JSON reader. */
internal class JsonReader(private val text: String, private val where: String) {
    private var at = 0

    fun read(): Any? {
        val value = value(depth = 0)
        skipSpace()
        if (at < text.length) fail("ends before ${quoted()}")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > MAX_DEPTH) fail("is nested deeper than $MAX_DEPTH levels")
        skipSpace()
        return when (peek()) {
            '{' -> table(depth)
            '[' -> list(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun table(depth: Int): Map<String, Any?> {
        val fields = LinkedHashMap<String, Any?>()
        items('{', '}') {
            skipSpace()
            val key = string()
            skipSpace()
            expect(':')
            if (fields.put(key, value(depth + 1)) != null) fail("has the key \"$key\" twice")
        }
        return fields
    }

    private fun list(depth: Int): List<Any?> {
        val values = ArrayList<Any?>()
        items('[', ']') { values += value(depth + 1) }
        return values
    }

    private inline fun items(open: Char, close: Char, item: () -> Unit) {
        expect(open)
        skipSpace()
        if (peek() == close) {
            at++
            return
        }
        while (true) {
            item()
            skipSpace()
            if (peek() == close) break
            expect(',')
        }
        at++
    }

    private fun string(): String {
        expect('"')
        val out = StringBuilder()
        while (true) {
            when (val c = next()) {
                '"' -> return out.toString()
                '\\' -> out.append(escape())
                else -> if (c < ' ') fail("has a raw control character in a string") else out.append(c)
            }
        }
    }

    private fun escape(): Char =
        when (val c = next()) {
            '"', '\\', '/' -> c
            'b' -> '\b'
            'f' -> '\u000C'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> String(CharArray(4) { next() }).toIntOrNull(radix = 16)?.toChar() ?: fail("has a broken \\u escape")
            else -> fail("has the unknown escape \\$c")
        }

    private fun number(): Double {
        val found = NUMBER.matchAt(text, at)?.value ?: fail("has ${quoted()} where a value should be")
        at += found.length
        return found.toDouble()
    }

    private fun word(word: String, value: Boolean?): Boolean? {
        if (!text.startsWith(word, at)) fail("has ${quoted()} where a value should be")
        at += word.length
        return value
    }

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\n\r") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else fail("ends in the middle")

    private fun next(): Char = peek().also { at++ }

    private fun expect(c: Char) {
        if (next() != c) {
            at--
            fail("has ${quoted()} where $c should be")
        }
    }

    private fun quoted(): String = "'${text.substring(at, minOf(at + QUOTED, text.length))}'"

    private fun fail(what: String): Nothing = throw HearliteException("$where: not valid JSON: it $what, at character $at", "copy or export it again")

    private companion object {
        const val MAX_DEPTH = 32 // a manifest has 5; a hostile file must not overflow the stack
        const val QUOTED = 20
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    }
}

/** A JSON object whose fields are asked for by type. [where] names the source in errors, field by field. */
internal class JsonObject private constructor(private val fields: Map<*, *>, private val where: String) {
    fun has(key: String): Boolean = fields[key] != null

    fun string(key: String): String = typed(key, "a string")

    fun boolean(key: String): Boolean = typed(key, "true or false")

    fun number(key: String): Double = typed(key, "a number")

    /** A whole number of at least [least]. */
    fun int(key: String, least: Int): Int {
        val value = number(key)
        if (value != value.toInt().toDouble() || value < least) wrong(key, "a whole number of at least $least")
        return value.toInt()
    }

    fun table(key: String): JsonObject = JsonObject(typed<Map<*, *>>(key, "an object"), "$where: $key")

    fun tables(key: String): List<JsonObject> = typed<List<*>>(key, "a list of objects").mapIndexed { index, item ->
        JsonObject(item as? Map<*, *> ?: wrong(key, "a list of objects"), "$where: $key $index")
    }

    fun floats(key: String): FloatArray {
        val values = typed<List<*>>(key, "a list of numbers")
        return FloatArray(values.size) { (values[it] as? Double ?: wrong(key, "a list of numbers")).toFloat() }
    }

    fun doubles(key: String): DoubleArray {
        val values = typed<List<*>>(key, "a list of numbers")
        return DoubleArray(values.size) { values[it] as? Double ?: wrong(key, "a list of numbers") }
    }

    private inline fun <reified T> typed(key: String, expected: String): T {
        if (key !in fields) throw HearliteException("$where: $key is missing", "export the file again with this version of hearlite")
        return fields[key] as? T ?: wrong(key, expected)
    }

    private fun wrong(key: String, expected: String): Nothing =
        throw HearliteException("$where: $key is ${toJson(fields[key])}", "expected $expected")

    companion object {
        /** Raises HearliteException when [text] is no JSON object. */
        fun parse(text: String, where: String): JsonObject {
            val fields = JsonReader(text, where).read() as? Map<*, *> ?: throw HearliteException("$where: not a JSON object", "name a manifest")
            return JsonObject(fields, where)
        }
    }
}
