/** Which parts of a message are links, and where they lead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { partsOf } from "../src/meeting/ui/linked_text";

const links = (text) => partsOf(text).filter((part) => part.href).map((part) => part.text);

test("addresses are links, without the punctuation around them", () => {
  const found = {
    "see https://example.com/a?b=c#d, please": ["https://example.com/a?b=c#d"],
    "(https://example.com/wiki/A_(b)).": ["https://example.com/wiki/A_(b)"],
    "HTTP://EXAMPLE.COM and http://127.0.0.1:8080/x!": ["HTTP://EXAMPLE.COM", "http://127.0.0.1:8080/x"],
    "**https://example.com**": ["https://example.com"],
    "https://例え.jp/ü": ["https://例え.jp/ü"],
  };
  for (const [text, expected] of Object.entries(found)) assert.deepEqual(links(text), expected, text);
});

test("nothing else is a link", () => {
  const texts = [
    "",
    "no link",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "ftp://example.com file:///etc/passwd",
    "https://",
    "xhttps://example.com",
    "https://bank.example@elsewhere.example/",
    "https://user:word@elsewhere.example/",
  ];
  for (const text of texts) assert.deepEqual(links(text), [], text);
});

test("the parts joined are the whole message", () => {
  for (const text of ["a https://example.com/<b>\n  c", "https://a.example https://b.example", "\u202ehttps://a.example"]) {
    assert.equal(partsOf(text).map((part) => part.text).join(""), text);
  }
});

test("a link leads to a web page only", () => {
  for (const { href } of partsOf('https://example.com/"onclick="alert(1) https://example.com/\\..')) {
    if (href) assert.match(href, /^https:\/\/example\.com\//);
  }
});
