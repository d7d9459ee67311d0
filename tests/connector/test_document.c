/* Bodies of replies: which format each is taken for, what is found in it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "connector/document.h"

static const char *const format_names[] = {"malformed", "empty", "JSON", "JSONP",
                                           "form",      "XML",   "HTML"};

/* ---- formats ----------------------------------------------------------------------------------- */

static const struct {
    const char *body, *content_type; /* NULL: none */
    enum document_format format;
} formats[] = {
    {"", NULL, DOCUMENT_EMPTY},
    {" \r\n\t", "application/json", DOCUMENT_EMPTY},
    {"\xef\xbb\xbf", NULL, DOCUMENT_EMPTY},
    {"{}", NULL, DOCUMENT_JSON},
    {"\xef\xbb\xbf {}", NULL, DOCUMENT_JSON},
    {"\n[1]\n", "text/plain", DOCUMENT_JSON},
    {"{}", "text/html; charset=utf-8", DOCUMENT_JSON},
    {"{}", "application/x-www-form-urlencoded", DOCUMENT_JSON},
    {"{}", "application/xml", DOCUMENT_JSON},
    {"\"token\"", NULL, DOCUMENT_JSON},
    {"true", "application/json", DOCUMENT_JSON},
    {"null", "application/problem+json", DOCUMENT_JSON},
    {"-1.5e3", "Application/JSON; charset=utf-8", DOCUMENT_JSON},
    {"true", NULL, DOCUMENT_MALFORMED},
    {"12", "text/plain", DOCUMENT_MALFORMED},
    {"{\"a\":1", NULL, DOCUMENT_MALFORMED},
    {"{a=b}", NULL, DOCUMENT_MALFORMED},
    {"callback({})", NULL, DOCUMENT_JSONP},
    {"callback( {\"a\":1} );\n", "text/html", DOCUMENT_JSONP},
    {"/**/cb({})", "application/javascript", DOCUMENT_JSONP},
    {"/**/ window.cb_1$ ([1])", NULL, DOCUMENT_JSONP},
    {"cb({\"a\":\"b=c\"})", "application/json", DOCUMENT_JSONP},
    {"cb(null)", NULL, DOCUMENT_JSONP},
    {"cb()", NULL, DOCUMENT_MALFORMED},
    {"cb({}", NULL, DOCUMENT_MALFORMED},
    {"cb({}) x", NULL, DOCUMENT_MALFORMED},
    {"cb({});;", NULL, DOCUMENT_MALFORMED},
    {"1cb({})", NULL, DOCUMENT_MALFORMED},
    {"({})", NULL, DOCUMENT_MALFORMED},
    {"/* x */cb({})", NULL, DOCUMENT_MALFORMED},
    {"a=b", NULL, DOCUMENT_FORM},
    {"a=b", "application/json", DOCUMENT_FORM},
    {"a=b", "text/html", DOCUMENT_FORM},
    {"true=1", "application/json", DOCUMENT_FORM},
    {"a=b&c=d\r\n", "text/plain", DOCUMENT_FORM},
    {"&&a=b&", NULL, DOCUMENT_FORM},
    {"&a=b", "application/x-www-form-urlencoded", DOCUMENT_FORM},
    {"%61=b", NULL, DOCUMENT_FORM},
    {"a=", NULL, DOCUMENT_FORM},
    {"a==", NULL, DOCUMENT_FORM},
    {"a", NULL, DOCUMENT_MALFORMED},
    {"a", "application/x-www-form-urlencoded", DOCUMENT_MALFORMED},
    {"a=b&c", NULL, DOCUMENT_MALFORMED},
    {"=b", NULL, DOCUMENT_MALFORMED},
    {"a b=c", NULL, DOCUMENT_MALFORMED},
    {"a=b c", NULL, DOCUMENT_MALFORMED},
    {"a=b\nc=d", NULL, DOCUMENT_MALFORMED},
    {"a=\x01", NULL, DOCUMENT_MALFORMED},
    {"Service unavailable", "text/plain", DOCUMENT_MALFORMED},
    {"Error: a = b", "text/html", DOCUMENT_MALFORMED},
    {"<a/>", NULL, DOCUMENT_XML},
    {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x --><a>b</a>", NULL, DOCUMENT_XML},
    {"<a/>", "application/json", DOCUMENT_XML},
    {"<htmlx/>", NULL, DOCUMENT_XML},
    {"<h1>Forbidden</h1>", "text/html", DOCUMENT_XML},
    {"<a>", NULL, DOCUMENT_MALFORMED},
    {"<a></b>", NULL, DOCUMENT_MALFORMED},
    {"<a/><b/>", NULL, DOCUMENT_MALFORMED},
    {"<a b=c/>", NULL, DOCUMENT_MALFORMED},
    {"<", NULL, DOCUMENT_MALFORMED},
    {"<!-- ", NULL, DOCUMENT_MALFORMED},
    {"<?xml ", NULL, DOCUMENT_MALFORMED},
    {"<a>\xff</a>", NULL, DOCUMENT_MALFORMED},
    {"<?xml version='1.0' encoding='x-none'?><a/>", NULL, DOCUMENT_MALFORMED},
    {"<!DOCTYPE a><a/>", NULL, DOCUMENT_MALFORMED},
    {"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", NULL, DOCUMENT_MALFORMED},
    {"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", NULL, DOCUMENT_MALFORMED},
    {"<a>&b;</a>", NULL, DOCUMENT_MALFORMED},
    {"<a>&nbsp;</a>", "text/html", DOCUMENT_HTML},
    {"<html></html>", NULL, DOCUMENT_HTML},
    {"<HTML lang=en><body>", "application/json", DOCUMENT_HTML},
    {"<html\n>", NULL, DOCUMENT_HTML},
    {"<html", NULL, DOCUMENT_HTML},
    {"<!DOCTYPE html><p>", NULL, DOCUMENT_HTML},
    {"<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", NULL, DOCUMENT_HTML},
    {"<?xml version='1.0'?>\n<!-- c -->\n<html xmlns='http://www.w3.org/1999/xhtml'/>", NULL,
     DOCUMENT_HTML},
    {"<!-- error --><html>", NULL, DOCUMENT_HTML},
    {"<h1>Forbidden<br></h1>", "text/html; charset=utf-8", DOCUMENT_HTML},
    {"<h1>Forbidden<br></h1>", "text/xml", DOCUMENT_MALFORMED},
};

static struct document *read_as(const char *body, const char *content_type)
{
    struct document *document = document_new(text_of(body), text_of(content_type));
    assert_non_null(document);
    return document;
}

static struct document_value find(const struct document *document, const char *text)
{
    struct path *path = NULL;
    struct buf error = buf_make(1024);
    if (path_compile(text_of(text), &path, &error) != 0)
        fail_msg("%s: %.*s", text, (int)error.len, (const char *)error.data);
    struct document_value value = document_find(document, path);
    path_free(path);
    buf_free(&error);
    return value;
}

static void test_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct document *document = read_as(formats[i].body, formats[i].content_type);
        enum document_format got = document_format(document);
        bool has_root = got != DOCUMENT_MALFORMED && got != DOCUMENT_EMPTY && got != DOCUMENT_HTML;
        if (got != formats[i].format)
            fail_msg("%s (%s): %s", formats[i].body, formats[i].content_type, format_names[got]);
        assert_int_equal(document_problem(document) != NULL, got == DOCUMENT_MALFORMED);
        assert_int_equal(find(document, "$").type != BURSAR_VALUE_ABSENT, has_root);
        assert_int_equal(document_is_typed(document),
                         got == DOCUMENT_JSON || got == DOCUMENT_JSONP);
        document_free(document);
    }
    document_free(NULL);
}

/* ---- values ------------------------------------------------------------------------------------ */

static const struct {
    const char *body, *path;
    enum bursar_value_type type;
    const char *text; /* NULL: absent */
} values[] = {
    /* JSON: all that a reply has, as it was written */
    {"{\"a\":\"x\"}", "$.a", BURSAR_VALUE_TEXT, "x"},
    {"{\"a\":\"\"}", "$.a", BURSAR_VALUE_TEXT, ""},
    {"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "$.a", BURSAR_VALUE_TEXT, "\"\\/\b\f\n\r\t"},
    {"{\"a\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00é€😀\"}", "$.a", BURSAR_VALUE_TEXT, "Aé€😀é€😀"},
    {"{\"\\u0061\":\"x\"}", "$.a", BURSAR_VALUE_TEXT, "x"},
    {"{\"a\":0}", "$.a", BURSAR_VALUE_NUMBER, "0"},
    {"{\"a\":-0.50E+2}", "$.a", BURSAR_VALUE_NUMBER, "-0.50E+2"},
    {"{\"a\":12345678901234567890123}", "$.a", BURSAR_VALUE_NUMBER, "12345678901234567890123"},
    {"{\"t\":\"x\",\"a\":1e999}", "$.t", BURSAR_VALUE_TEXT, "x"},
    {"{\"a\":1e999}", "$.a", BURSAR_VALUE_NUMBER, "1e999"},
    {"{\"a\":9999999999999999999999999,\"t\":\"x\"}", "$.t", BURSAR_VALUE_TEXT, "x"},
    {"{\"a\":true}", "$.a", BURSAR_VALUE_TRUE, NULL},
    {"{\"a\":false}", "$.a", BURSAR_VALUE_FALSE, NULL},
    {"{\"a\":null}", "$.a", BURSAR_VALUE_NULL, NULL},
    {"{\"a\":[]}", "$.a", BURSAR_VALUE_LIST, NULL},
    {"{\"a\":{}}", "$.a", BURSAR_VALUE_MAP, NULL},
    {" { \"a\" : [ 1 , { \"b\" : \"x\" } ] } ", "$.a[1].b", BURSAR_VALUE_TEXT, "x"},
    {"{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "$.a.b", BURSAR_VALUE_ABSENT, NULL},
    {"\"x\"", "$", BURSAR_VALUE_TEXT, "x"},
    {"[\"x\"]", "$[0]", BURSAR_VALUE_TEXT, "x"},
    {"[\"x\"]", "$[0][0]", BURSAR_VALUE_ABSENT, NULL},
    {"{\"a\":{\"b\":1}}", "$.a[0]", BURSAR_VALUE_ABSENT, NULL},
    {"{\"a\":\"\x7f\"}", "$.a", BURSAR_VALUE_TEXT, "\x7f"},
    /* what is no Unicode costs itself alone */
    {"{\"a\":\"x\\ud83d\",\"t\":\"y\"}", "$.a", BURSAR_VALUE_TEXT, NULL},
    {"{\"a\":\"x\\ud83d\",\"t\":\"y\"}", "$.t", BURSAR_VALUE_TEXT, "y"},
    {"{\"a\":\"\\ude00\\ud83d\",\"t\":\"y\"}", "$.t", BURSAR_VALUE_TEXT, "y"},
    {"{\"a\":\"\xff\",\"t\":\"y\"}", "$.a", BURSAR_VALUE_TEXT, NULL},
    {"{\"a\":\"\xe9\",\"t\":\"y\"}", "$.t", BURSAR_VALUE_TEXT, "y"},
    {"{\"\xff\":1,\"t\":\"y\"}", "$.t", BURSAR_VALUE_TEXT, "y"},
    {"{\"\xff\":1,\"t\":\"y\"}", "$['']", BURSAR_VALUE_ABSENT, NULL},
    /* JSONP */
    {"cb({\"a\":\"x\"});", "$.a", BURSAR_VALUE_TEXT, "x"},
    {"cb([1,2])", "$[-1]", BURSAR_VALUE_NUMBER, "2"},
    /* forms */
    {"a=x&b=y", "$.b", BURSAR_VALUE_TEXT, "y"},
    {"a=x", "$", BURSAR_VALUE_MAP, NULL},
    {"a=x+y%20z%2B", "$.a", BURSAR_VALUE_TEXT, "x y z+"},
    {"a=%C3%A9%e2%82%ac", "$.a", BURSAR_VALUE_TEXT, "é€"},
    {"a=é", "$.a", BURSAR_VALUE_TEXT, "é"},
    {"a%5Bb%5d=x", "$['a[b]']", BURSAR_VALUE_TEXT, "x"},
    {"a[b]=x", "$['a[b]']", BURSAR_VALUE_TEXT, "x"},
    {"a+b=x", "$['a b']", BURSAR_VALUE_TEXT, "x"},
    {"a=", "$.a", BURSAR_VALUE_TEXT, ""},
    {"a=b=c==", "$.a", BURSAR_VALUE_TEXT, "b=c=="},
    {"a=%", "$.a", BURSAR_VALUE_TEXT, "%"},
    {"a=%4", "$.a", BURSAR_VALUE_TEXT, "%4"},
    {"a=%zz%41", "$.a", BURSAR_VALUE_TEXT, "%zzA"},
    {"a=%ff&b=y", "$.a", BURSAR_VALUE_TEXT, NULL},
    {"a=%ff&b=y", "$.b", BURSAR_VALUE_TEXT, "y"},
    {"a=1&a=2", "$.a", BURSAR_VALUE_TEXT, "2"},
    {"expires=5184000", "$.expires", BURSAR_VALUE_TEXT, "5184000"},
    {"a=x", "$.a[0]", BURSAR_VALUE_ABSENT, NULL},
    {"a=x", "$.a.b", BURSAR_VALUE_ABSENT, NULL},
    /* XML */
    {"<a>x</a>", "$.a", BURSAR_VALUE_TEXT, "x"},
    {"<a/>", "$.a", BURSAR_VALUE_TEXT, ""},
    {"<a>\n  x y \t</a>", "$.a", BURSAR_VALUE_TEXT, "x y"},
    {"<a><b>x</b><c>y</c></a>", "$.a.c", BURSAR_VALUE_TEXT, "y"},
    {"<a><b>x</b><c>y</c></a>", "$.a", BURSAR_VALUE_MAP, NULL},
    {"<a>&lt;&gt;&amp;&quot;&apos;</a>", "$.a", BURSAR_VALUE_TEXT, "<>&\"'"},
    {"<a>&#233;&#x1F600;</a>", "$.a", BURSAR_VALUE_TEXT, "é😀"},
    {"<a><![CDATA[<x&]]>y</a>", "$.a", BURSAR_VALUE_TEXT, "<x&y"},
    {"<a>x<!-- c -->y<?p i?>z</a>", "$.a", BURSAR_VALUE_TEXT, "xyz"},
    {"<a b='x' c=\"&amp;\"/>", "$.a['@b']", BURSAR_VALUE_TEXT, "x"},
    {"<a b='x' c=\"&amp;\"/>", "$.a['@c']", BURSAR_VALUE_TEXT, "&"},
    {"<a b='x'>y</a>", "$.a", BURSAR_VALUE_TEXT, "y"},
    {"<a b='x'><c/></a>", "$.a['@b']", BURSAR_VALUE_TEXT, "x"},
    {"<s:a xmlns:s='urn:s' xmlns='urn:t'><s:b s:c='z'>x</s:b></s:a>", "$.a.b", BURSAR_VALUE_TEXT,
     "x"},
    {"<s:a xmlns:s='urn:s' xmlns='urn:t'><s:b s:c='z'>x</s:b></s:a>", "$.a.b['@c']",
     BURSAR_VALUE_TEXT, "z"},
    {"<s:a xmlns:s='urn:s' xmlns='urn:t'/>", "$.a['@xmlns']", BURSAR_VALUE_ABSENT, NULL},
    {"<a><i>1</i><i>2</i><j>3</j><i>4</i></a>", "$.a.i", BURSAR_VALUE_LIST, NULL},
    {"<a><i>1</i><i>2</i><j>3</j><i>4</i></a>", "$.a.i[0]", BURSAR_VALUE_TEXT, "1"},
    {"<a><i>1</i><i>2</i><j>3</j><i>4</i></a>", "$.a.i[-1]", BURSAR_VALUE_TEXT, "4"},
    {"<a><i>1</i><i>2</i><j>3</j><i>4</i></a>", "$.a.i[3]", BURSAR_VALUE_ABSENT, NULL},
    {"<a><i>1</i><i>2</i><j>3</j><i>4</i></a>", "$.a.j", BURSAR_VALUE_TEXT, "3"},
    {"<a><i>1</i></a>", "$.a.i[0]", BURSAR_VALUE_TEXT, "1"},
    {"<a><i>1</i></a>", "$.a.i[-1]", BURSAR_VALUE_TEXT, "1"},
    {"<a><i>1</i></a>", "$.a.i[1]", BURSAR_VALUE_ABSENT, NULL},
    {"<a><i><k>1</k></i><i><k>2</k></i></a>", "$.a.i[1].k", BURSAR_VALUE_TEXT, "2"},
    {"<a>w<b>x</b>y</a>", "$.a.b", BURSAR_VALUE_TEXT, "x"},
    {"<a>w<b>x</b>y</a>", "$.a", BURSAR_VALUE_MAP, NULL},
    {"<a/>", "$[0]", BURSAR_VALUE_ABSENT, NULL},
    {"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9\xe9\xe9\xe9</a>", "$.a", BURSAR_VALUE_TEXT,
     "éééé"},
    {"<R xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Result><Credentials>"
     "<SessionToken>x</SessionToken></Credentials></Result></R>",
     "$.R.Result.Credentials.SessionToken", BURSAR_VALUE_TEXT, "x"},
    {"<OAuthResponse><error_code>401</error_code></OAuthResponse>",
     "$.error | $.OAuthResponse.error_code", BURSAR_VALUE_TEXT, "401"},
    /* pages have no members */
    {"<html><access_token>x</access_token></html>", "$.html.access_token", BURSAR_VALUE_ABSENT,
     NULL},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct document *document = read_as(values[i].body, NULL);
        struct document_value value = find(document, values[i].path);
        if (value.type != values[i].type || !text_equal(value.text, text_of(values[i].text)))
            fail_msg("%s of %s: type %d, text \"%.*s\"", values[i].path, values[i].body,
                     (int)value.type, (int)value.text.len, value.text.data);
        document_free(document);
    }
}

/* ---- what JSON is not -------------------------------------------------------------------------- */

static const char *const wrong_json[] = {
    "{",
    "[",
    "\"",
    "{]",
    "[}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]]",
    "[1]x",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\" 1}",
    "{\"a\",1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1}{\"b\":2}",
    "[nul]",
    "[nulll]",
    "[True]",
    "[NaN]",
    "[Infinity]",
    "[-]",
    "[01]",
    "[1.]",
    "[.5]",
    "[1e]",
    "[1e+]",
    "[+1]",
    "[0x1]",
    "[1_000]",
    "[\"\\x\"]",
    "[\"\\u12\"]",
    "[\"\\u12g4\"]",
    "[\"\\",
    "[\"\\u",
    "[\"a\nb\"]",
    "[\"a\tb\"]",
    "[\"\x1f\"]",
    "[\"a]",
    "[1]//x",
    "[/*x*/1]",
    "[1\xc2\xa0]",
};

static void test_wrong_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_json / sizeof wrong_json[0]; i++) {
        struct document *document = read_as(wrong_json[i], "application/json");
        if (document_format(document) != DOCUMENT_MALFORMED)
            fail_msg("%s is taken", wrong_json[i]);
        assert_non_null(document_problem(document));
        assert_int_equal(find(document, "$").type, BURSAR_VALUE_ABSENT);
        document_free(document);
    }
}

/* Each beginning of a good body is read without harm, and is not the whole. */
/* A string is read eight bytes at a time: each byte at each place of sixteen. */
static void test_each_byte(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        for (size_t at = 0; at < 16; at++) {
            char body[32] = "{\"a\":\"0123456789abcdef\"}";
            body[6 + at] = (char)byte;
            struct document *document = document_new(text_of(body), text_of("application/json"));
            bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            struct text found = find(document, "$.a").text;
            if (is_plain != text_equal(found, (struct text){body + 6, 16}))
                fail_msg("byte %u at %zu", byte, at);
            document_free(document);
        }
    }
}

static void test_cut_off(void **state)
{
    static const char *const bodies[] = {
        "{\"a\":\"\\ud83d\\ude00\\n\",\"b\":[1.5e+3,true,{\"c\":null}]}",
        "/**/cb([\"x\"])",
        "<?xml version='1.0'?><a b='c'><![CDATA[d]]>&amp;<e/></a>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        for (size_t len = 1; len < strlen(bodies[i]); len++) {
            char *copy = malloc(len); /* so that reading behind its end is seen */
            assert_non_null(copy);
            memcpy(copy, bodies[i], len);
            struct document *document = document_new((struct text){copy, len}, text_of(NULL));
            assert_int_equal(document_format(document), DOCUMENT_MALFORMED);
            document_free(document);
            free(copy);
        }
    }
}

/* ---- bounds ------------------------------------------------------------------------------------ */

static void append_many(struct buf *body, const char *part, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_append_string(body, part);
}

/* The format of `head`, `count` times `part`, and `tail`. */
static enum document_format format_of_many(const char *head, const char *part, size_t count,
                                           const char *tail)
{
    struct buf body = buf_make((size_t)8 << 20);
    buf_append_string(&body, head);
    append_many(&body, part, count);
    buf_append_string(&body, tail);
    assert_int_equal(buf_error(&body), 0);
    struct document *document = document_new(buf_text(&body), text_of(NULL));
    assert_non_null(document);
    enum document_format format = document_format(document);
    document_free(document);
    buf_free(&body);
    return format;
}

static enum document_format format_of_nested(const char *open, const char *close, size_t depth)
{
    struct buf body = buf_make((size_t)8 << 20);
    append_many(&body, open, depth);
    append_many(&body, close, depth);
    struct document *document = document_new(buf_text(&body), text_of(NULL));
    assert_non_null(document);
    enum document_format format = document_format(document);
    document_free(document);
    buf_free(&body);
    return format;
}

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(format_of_nested("[", "]", DOCUMENT_DEPTH_MAX), DOCUMENT_JSON);
    assert_int_equal(format_of_nested("[", "]", DOCUMENT_DEPTH_MAX + 1), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_nested("[", "]", 400000), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_nested("<a>", "</a>", DOCUMENT_DEPTH_MAX), DOCUMENT_XML);
    assert_int_equal(format_of_nested("<a>", "</a>", DOCUMENT_DEPTH_MAX + 1), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_nested("<a>", "</a>", 100000), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_many("[0", ",1", DOCUMENT_NODES_MAX - 2, "]"), DOCUMENT_JSON);
    assert_int_equal(format_of_many("[0", ",1", DOCUMENT_NODES_MAX - 1, "]"), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_many("a=b", "&a=b", DOCUMENT_NODES_MAX - 2, ""), DOCUMENT_FORM);
    assert_int_equal(format_of_many("a=b", "&a=b", DOCUMENT_NODES_MAX - 1, ""), DOCUMENT_MALFORMED);
    assert_int_equal(format_of_many("<r>", "<a/>", DOCUMENT_NODES_MAX - 2, "</r>"), DOCUMENT_XML);
    assert_int_equal(format_of_many("<r>", "<a/>", DOCUMENT_NODES_MAX - 1, "</r>"),
                     DOCUMENT_MALFORMED);
    assert_int_equal(
        format_of_many("<?xml version='1.0' encoding='ISO-8859-1'?><a>", "\xe9", 100000, "</a>"),
        DOCUMENT_XML);
    assert_int_equal(format_of_many("\"", "x", DOCUMENT_BYTES_MAX - 2, "\""), DOCUMENT_JSON);
    assert_int_equal(format_of_many("\"", "x", DOCUMENT_BYTES_MAX - 1, "\""), DOCUMENT_MALFORMED);
}

/* ---- lists and maps ---------------------------------------------------------------------------- */

static void assert_items(const char *body, const char *path, const char *const *want, size_t count)
{
    struct document *document = read_as(body, NULL);
    struct document_value list = find(document, path);
    for (size_t i = 0; i < count; i++)
        assert_true(text_is(document_item(document, &list, i).text, want[i]));
    assert_int_equal(document_item(document, &list, count).type, BURSAR_VALUE_ABSENT);
    assert_int_equal(document_item(document, &list, SIZE_MAX).type, BURSAR_VALUE_ABSENT);
    document_free(document);
}

static void test_items(void **state)
{
    static const char *const scopes[] = {"read", "write", "admin"};
    (void)state;
    assert_items("{\"scope\":[\"read\",\"write\",\"admin\"]}", "$.scope", scopes, 3);
    assert_items("<r><s>read</s><x/><s>write</s><s>admin</s></r>", "$.r.s", scopes, 3);
    assert_items("<r><s>read</s></r>", "$.r.s", scopes, 1);
    assert_items("{\"scope\":\"read\"}", "$.scope", scopes, 0);
    assert_items("{\"scope\":{\"a\":\"read\"}}", "$.scope", scopes, 0);
    assert_items("{\"scope\":[]}", "$.scope", scopes, 0);
    assert_items("{}", "$.scope", scopes, 0);
}

static void test_many_items(void **state)
{
    struct buf body = buf_make(1 << 20);
    char want[24];
    (void)state;
    buf_append_string(&body, "[0");
    for (int i = 1; i < 10000; i++)
        buf_printf(&body, ",%d", i);
    buf_append_byte(&body, ']');
    struct document *document = document_new(buf_text(&body), text_of(NULL));
    struct document_value list = find(document, "$");
    assert_int_equal(list.count, 10000);
    for (size_t i = 0; i < list.count; i++) {
        snprintf(want, sizeof want, "%zu", i);
        assert_true(text_is(document_item(document, &list, i).text, want));
    }
    document_free(document);
    buf_free(&body);
}

static void test_members(void **state)
{
    struct document *document = read_as("{\"z\":\"1\",\"\xff\":\"2\",\"a\":[3]}", NULL);
    struct document_value map = find(document, "$");
    struct text name;
    (void)state;
    assert_int_equal(map.count, 3);
    assert_true(text_is(document_member(document, &map, 0, &name).text, "1"));
    assert_true(text_is(name, "z"));
    assert_true(text_is(document_member(document, &map, 1, &name).text, "2"));
    assert_null(name.data);
    struct document_value list = document_member(document, &map, 2, &name);
    assert_true(text_is(name, "a"));
    assert_int_equal(list.type, BURSAR_VALUE_LIST);
    assert_int_equal(document_member(document, &map, 3, &name).type, BURSAR_VALUE_ABSENT);
    assert_null(name.data);
    assert_int_equal(document_member(document, &list, 0, &name).type, BURSAR_VALUE_ABSENT);
    document_free(document);
}

/* A zero byte is a character like others; the text's length counts. */
static void test_nul(void **state)
{
    struct document *json = read_as("{\"a\":\"x\\u0000y\"}", NULL);
    struct document *form = read_as("a=x%00y", NULL);
    static const char raw[] = "[\"x\0y\"]";
    (void)state;
    assert_true(text_equal(find(json, "$.a").text, (struct text){"x\0y", 3}));
    assert_true(text_equal(find(form, "$.a").text, (struct text){"x\0y", 3}));
    struct document *wrong = document_new((struct text){raw, sizeof raw - 1}, text_of(NULL));
    assert_int_equal(document_format(wrong), DOCUMENT_MALFORMED);
    document_free(wrong);
    document_free(form);
    document_free(json);
}

/* The document keeps nothing of the body that it was made of. */
static void test_copies(void **state)
{
    static const char *const bodies[] = {"{\"a\":\"secret\"}", "a=secret", "<a>secret</a>"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *copy = strdup(bodies[i]);
        struct document *document = document_new(text_of(copy), text_of(NULL));
        memset(copy, '#', strlen(copy));
        free(copy);
        assert_true(text_is(find(document, "$.a").text, "secret"));
        document_free(document);
    }
}

/* What was made goes back to the arena, also after a failure. */
static void test_leaves_nothing(void **state)
{
    size_t used = secret_arena_info().used_bytes;
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct document *document = read_as(values[i].body, NULL);
        if (document_format(document) == DOCUMENT_JSON)
            assert_true(secret_arena_info().used_bytes > used);
        document_free(document);
    }
    document_free(read_as("[\"secret", NULL));
    document_free(read_as("<a>secret", NULL));
    assert_int_equal(secret_arena_info().used_bytes, used);
    assert_int_equal(secret_arena_info().overflows, 0);
}

static int open_arena(void **state)
{
    (void)state;
    return secret_arena_open((size_t)4 << 20);
}

static int close_arena(void **state)
{
    (void)state;
    secret_arena_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_json), cmocka_unit_test(test_each_byte),
        cmocka_unit_test(test_cut_off),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_items),      cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_members),    cmocka_unit_test(test_nul),
        cmocka_unit_test(test_copies),     cmocka_unit_test(test_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
