/* Verifies this page with what is embedded in it: no network, no library, nothing is stored.
 *
 * 1. Every embedded record, and every body kept apart from its record, has its digest.
 * 2. The records lead to the root of the checkpoint (RFC 9162, section 2.1.1).
 * 3. Every figure that names a record says what the record says.
 * 4. The checkpoint is signed by the key that is named (C2SP signed-note).
 * 5. All of the page is as it was rendered: it has the digest that stands in it.
 *
 * The answer is written into #verification, and as data-verified="yes|no|unable" on <html>. Every
 * error is an answer, and none but the end of step 5 is a "yes". docs/reports.md has the contract.
 */
"use strict";
(() => {
  class Failed extends Error {
    constructor(words, leaf) {
      super(words);
      this.leaf = leaf;
    }
  }
  class Unable extends Error {}

  const AT_ONCE = 256; // digests under way at a time
  const MAX_WORDS = 300; // code points of a value in a message
  const KEYS = ["note", "origin", "packet", "records", "root", "shown", "size", "subtrees", "v", "vkey"];
  const SEALED = "(sealed: personal)";
  // What shows nothing, or turns the text around it; and a backslash that would look like our own.
  const HIDDEN = new RegExp(
    "\\\\(?=u\\{)|[\\0-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f" +
      "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ud800-\\udfff\\ufeff\\uffa0" +
      "\\ufff0-\\ufffb\\u{e0000}-\\u{e0fff}]",
    "gu",
  );

  const expect = (holds, words, leaf) => {
    if (!holds) throw new Failed(words, leaf);
  };
  const has = (value, key) => Object.prototype.hasOwnProperty.call(value, key);
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isHash = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

  // Bytes

  function utf8(text) {
    expect(!/[\ud800-\udfff]/u.test(text), "a text in it is not Unicode");
    return new TextEncoder().encode(text);
  }
  function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  }
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const unhex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
  const same = (one, other) => one.length === other.length && one.every((byte, i) => byte === other[i]);
  const sha256 = async (...parts) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

  function unbase64(text, words) {
    let found = null;
    try {
      found = atob(text);
    } catch {
      // said below
    }
    expect(found !== null && btoa(found) === text, words); // one value has one spelling
    return Uint8Array.from(found, (char) => char.charCodeAt(0));
  }

  // Values as text; chalicelib/render/embed.py, shown_text, says the same.

  function canonical(value) { // RFC 8785
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (!isObject(value)) return JSON.stringify(value);
    const pairs = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
    return `{${pairs.join(",")}}`;
  }
  function told(value) {
    if (value === null) return "";
    if (typeof value === "string") return value;
    if (isObject(value) && Object.keys(value).join() === "personal") return SEALED;
    return canonical(value);
  }
  function shownText(value, cut) {
    let text = told(value);
    if (cut !== null && text.length > cut) {
      const points = Array.from(text);
      if (points.length > cut) text = `${points.slice(0, cut).join("")}\u2026`;
    }
    return text.replace(HIDDEN, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
  }

  // Step 1

  function parsed() {
    const found = document.querySelectorAll("#evidence");
    expect(found.length === 1, "there is not one element with the records (#evidence)");
    const evidence = json(found[0].textContent, undefined, "the records (#evidence) are not a JSON object");
    expect(
      Object.keys(evidence).sort().join() === KEYS.join() && evidence.v === 1 &&
        ["note", "origin", "vkey"].every((key) => typeof evidence[key] === "string") &&
        ["packet", "root"].every((key) => isHash(evidence[key])) &&
        ["shown", "size"].every((key) => Number.isSafeInteger(evidence[key])) &&
        ["records", "subtrees"].every((key) => Array.isArray(evidence[key])) &&
        evidence.subtrees.every(isHash) && evidence.records.length <= evidence.shown,
      "the records (#evidence) are not of the form that this program reads",
    );
    return evidence;
  }

  /** By index: {hash, value, apart}; apart: its body was kept apart, and is not embedded. */
  async function records(evidence) {
    const known = new Map();
    let last = -1;
    for (const row of evidence.records) {
      expect(
        Array.isArray(row) && row.length === 3 && Number.isSafeInteger(row[0]) && row[0] > last &&
          row[0] < evidence.size && typeof row[1] === "string" &&
          (row[2] === null || typeof row[2] === "string"),
        "the records are not in their order, or one is not of its form",
      );
      last = row[0];
    }
    for (let at = 0; at < evidence.records.length; at += AT_ONCE) {
      const some = await Promise.all(evidence.records.slice(at, at + AT_ONCE).map(record));
      some.forEach((one) => known.set(one.index, one));
    }
    return known;
  }
  async function record([index, leaf, body]) {
    const value = json(leaf, index);
    const hash = await sha256(Uint8Array.of(0), utf8(leaf));
    if (!has(value, "body_ref")) {
      expect(body === null, "it has a body that it does not name", index);
      return { index, hash, value, apart: false };
    }
    if (body === null) return { index, hash, value, apart: true };
    const ref = value.body_ref;
    const data = utf8(body);
    expect(
      isObject(ref) && data.length === ref.size_bytes && hex(await sha256(data)) === ref.sha256,
      "its body is not the one that it names",
      index,
    );
    value.body = json(body, index);
    return { index, hash, value, apart: false };
  }
  function json(text, index, words = "it is not a JSON object") {
    try {
      const value = JSON.parse(text);
      if (isObject(value)) return value;
    } catch {
      // said below
    }
    throw new Failed(words, index);
  }

  // Step 2

  async function root(evidence, known) {
    const rest = evidence.subtrees.values();
    // Until its first await it runs at once, so that the subtrees are taken from left to right.
    const span = async (start, stop, shown) => {
      if (shown.length === 0) {
        const given = rest.next();
        expect(!given.done, "the records do not lead to the root: a hash is missing");
        return unhex(given.value);
      }
      if (stop - start === 1) return known.get(start).hash;
      let k = 1; // the largest power of two below the number of leaves
      while (k * 2 < stop - start) k *= 2;
      const [left, right] = await Promise.all([
        span(start, start + k, shown.filter((index) => index < start + k)),
        span(start + k, stop, shown.filter((index) => index >= start + k)),
      ]);
      return sha256(Uint8Array.of(1), left, right);
    };
    expect(evidence.size > 0, "the checkpoint is over no record");
    const found = hex(await span(0, evidence.size, Array.from(known.keys())));
    expect(rest.next().done, "the records do not lead to the root: a hash is too much");
    return found;
  }

  /** The checkpoint that the note states, and its signatures, strictly. C2SP tlog-checkpoint. */
  function checkpoint(note) {
    const wrong = "the checkpoint is not a signed note";
    expect(!/[\0-\x09\x0b-\x1f]/.test(note), wrong);
    const blank = note.lastIndexOf("\n\n");
    expect(blank > 0 && note.endsWith("\n") && note.length > blank + 2, wrong);
    const text = note.slice(0, blank + 1);
    const signatures = note.slice(blank + 2, -1).split("\n").map((line) => {
      const parts = /^\u2014 ([^\s+]+) (\S+)$/.exec(line);
      expect(parts !== null, wrong);
      const data = unbase64(parts[2], wrong);
      expect(data.length > 4, wrong);
      return { name: parts[1], id: hex(data.slice(0, 4)), data: data.slice(4) };
    });
    const lines = text.slice(0, -1).split("\n");
    expect(lines.length >= 3 && lines.every((line) => line !== ""), wrong);
    expect(/^(0|[1-9][0-9]*)$/.test(lines[1]), wrong);
    return { text, signatures, origin: lines[0], size: lines[1], root: hex(unbase64(lines[2], wrong)) };
  }

  // Step 3

  function at(record, pointer, element) {
    const leaf = record.index;
    if (pointer === "#index" || pointer === "#hash") return pointer === "#hash" ? hex(record.hash) : String(leaf);
    expect(pointer === "" || pointer.startsWith("/"), "a figure of it names no place in it", leaf);
    let value = record.value; // RFC 6901
    for (const step of pointer.split("/").slice(1)) {
      const key = step.replace(/~1/g, "/").replace(/~0/g, "~");
      const isThere = Array.isArray(value)
        ? /^(0|[1-9][0-9]*)$/.test(key) && Number(key) < value.length
        : isObject(value) && has(value, key);
      const why = record.apart ? "is in its body, which is not embedded" : "is not in it";
      if (!isThere) throw new Failed(`the page shows ${quoted(element.textContent)}; ${pointer} ${why}`, leaf);
      value = value[key];
    }
    return value;
  }
  function figures(known) {
    const odd = document.querySelector("[data-at]:not([data-leaf]), [data-cut]:not([data-at])");
    expect(odd === null, "a figure names no record");
    let compared = 0;
    for (const element of document.querySelectorAll("[data-leaf]")) {
      const { leaf, at: pointer, cut } = element.dataset;
      const record = /^(0|[1-9][0-9]*)$/.test(leaf) ? known.get(Number(leaf)) : undefined;
      if (record === undefined) throw new Failed(`the page refers to record ${brief(leaf)}, which is not embedded`);
      if (pointer === undefined) continue;
      expect(cut === undefined || /^[1-9][0-9]{0,8}$/.test(cut), "a figure of it is cut oddly", record.index);
      const says = shownText(at(record, pointer, element), cut === undefined ? null : Number(cut));
      if (element.textContent !== says) {
        const words = `the page shows ${quoted(element.textContent)}; ${pointer} says ${quoted(says)}`;
        throw new Failed(words, record.index);
      }
      compared += 1;
    }
    return compared;
  }
  const brief = (text) => shownText(text, MAX_WORDS);
  const quoted = (text) => `\u201c${brief(text)}\u201d`;

  // Step 5; chalicelib/render/seal.py says the same.

  /** A copy without shadow roots, which show other things in an element's place and are not told of. */
  function bare(element) {
    const copy = document.createElementNS(element.namespaceURI, element.localName);
    for (const attribute of element.attributes) copy.setAttributeNodeNS(attribute.cloneNode());
    for (const node of Array.from(element.childNodes)) {
      const isMoved = node.nodeType !== Node.ELEMENT_NODE || node.localName === "script"; // not to run it again
      copy.append(isMoved ? node : bare(node));
    }
    return copy;
  }
  const LEFT_OUT = new Set(["html data-verified", "details open"]);
  async function sealed() {
    const kind = `${document.contentType} ${document.compatMode}`;
    expect(kind === "text/html CSS1Compat", "it is read as a page of another kind");
    const main = document.querySelectorAll("main");
    expect(main.length === 1, "there is not one element with the report (<main>)");
    const live = document.querySelectorAll("[data-live]");
    expect(live.length === 1 && live[0].id === "verification", "the place of this answer was changed");
    const parts = [];
    const walk = (element) => {
      const tag = element.localName.toLowerCase();
      const isFrame = ["html", "head", "body"].includes(tag);
      parts.push("\0<", tag);
      const attributes = Array.from(element.attributes, ({ name, value }) => [name.toLowerCase(), value]);
      attributes.sort(([one], [other]) => (one < other ? -1 : 1));
      for (const [name, value] of attributes) {
        const isLeftOut = name === "data-text-sha256" || LEFT_OUT.has(`${tag} ${name}`);
        if (!isLeftOut) parts.push("\0", name, "\0", value);
      }
      parts.push("\0>");
      for (const node of element.hasAttribute("data-live") ? [] : element.childNodes) {
        const isText = node.nodeType === Node.TEXT_NODE && !(isFrame && /^[ \t\n\f]*$/.test(node.data));
        if (isText) parts.push(node.data);
        else if (node.nodeType === Node.ELEMENT_NODE) walk(node);
      }
      parts.push("\0/");
    };
    walk(document.documentElement);
    const found = hex(await sha256(utf8(parts.join(""))));
    expect(found === main[0].dataset.textSha256, "the report is not as it was rendered, or an extension changed it");
  }

  // Step 4

  async function key(vkey) {
    const parts = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey);
    expect(parts !== null, "the key is not a verifier key");
    const [, name, id, encoded] = parts;
    const data = unbase64(encoded, "the key is not a verifier key");
    const isEd25519 = data[0] === 1;
    expect(isEd25519 ? data.length === 33 : data[0] === 2, "the key is of no known algorithm");
    const under = isEd25519 ? joined(utf8(`${name}\n`), data) : data.slice(1);
    expect(hex((await sha256(under)).slice(0, 4)) === id, "the key's hash is not its own");
    return { name, id, isEd25519, data: data.slice(1), print: hex(await sha256(utf8(vkey))) };
  }
  async function signed(note, signer) {
    const own = note.signatures.filter(({ name, id }) => name === signer.name && id === signer.id);
    expect(own.length > 0, "the checkpoint is not signed by the key that is named");
    const [format, algorithm, how] = signer.isEd25519
      ? ["raw", "Ed25519", "Ed25519"]
      : ["spki", { name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }];
    const imported = await crypto.subtle.importKey(format, signer.data, algorithm, false, ["verify"]).catch((error) => {
      if (error.name !== "NotSupportedError") throw new Failed("the key is not one of its algorithm");
      throw new Unable(`this browser cannot verify ${signer.isEd25519 ? "Ed25519" : "ECDSA"} signatures`);
    });
    for (const { data } of own) {
      const raw = signer.isEd25519 ? data : unpacked(data);
      const holds = await crypto.subtle.verify(how, imported, raw, utf8(note.text));
      expect(holds, "the signature of the checkpoint is not the key's over it");
    }
  }
  /** r and s, 32 bytes each, of an ECDSA signature in DER. RFC 3279, section 2.2.3. */
  function unpacked(der) {
    const wrong = "the signature of the checkpoint is not in DER";
    let place = 2;
    expect(der[0] === 0x30 && der[1] === der.length - 2 && der.length < 0x80, wrong);
    const integer = () => {
      const start = place + 2;
      const stop = start + der[place + 1];
      expect(der[place] === 2 && stop > start && stop <= der.length && der[start] < 0x80, wrong);
      const zero = der[start] === 0 ? 1 : 0;
      expect(zero === 0 || (stop - start > 1 && der[start + 1] >= 0x80), wrong);
      const digits = der.slice(start + zero, stop);
      expect(digits.length <= 32, wrong);
      place = stop;
      return joined(new Uint8Array(32 - digits.length), digits);
    };
    const whole = joined(integer(), integer());
    expect(place === der.length, wrong);
    return whole;
  }

  // The answer

  async function verified() {
    if (typeof crypto === "undefined" || !crypto.subtle) {
      throw new Unable("this browser gives the page no WebCrypto");
    }
    document.body.replaceWith(bare(document.body));
    const evidence = parsed();
    const known = await records(evidence);
    const note = checkpoint(evidence.note);
    expect(
      note.origin === evidence.origin && note.size === String(evidence.size) && note.root === evidence.root,
      "the checkpoint is over another log, size or root than the page names",
    );
    const found = await root(evidence, known);
    expect(found === evidence.root, "the records do not lead to the root of the checkpoint");
    const compared = figures(known);
    const signer = await key(evidence.vkey);
    expect(signer.name === evidence.origin, "the key is another log's");
    const unable = await signed(note, signer).catch((error) => error);
    if (unable !== undefined && !(unable instanceof Unable)) throw unable;
    await sealed();
    if (unable !== undefined) throw unable;
    const apart = Array.from(known.values()).filter((one) => one.apart).length;
    return [
      `${known.size} records lead to the root ${evidence.root} over ${evidence.size} records of ` +
        `${brief(evidence.origin)}, ${compared} figures are what these records say, the page has the ` +
        `digest that it was rendered with, and the key ${signer.id} signed the root.`,
      `Compare the key with the one that you have first-hand: ${brief(evidence.vkey)} (SHA-256 of this ` +
        `text: ${signer.print}).`,
      `Embedded: ${known.size} of ${evidence.shown} records that this page shows` +
        (apart ? `, without the bodies of ${apart}, which are too large.` : "."),
      "Not looked at here: witnesses, timestamps, and totals, which rest on records that are not here. " +
        "A page cannot vouch for its own program and digest: whoever doubts it verifies the packet, and renders " +
        "the report again, which gives the same bytes.",
    ];
  }
  function answer(word, heading, sentences) {
    document.documentElement.dataset.verified = word;
    const place = document.getElementById("verification");
    if (place === null) return;
    const made = (name, text) => Object.assign(document.createElement(name), { textContent: text });
    const lines = sentences.map((sentence) => made("p", sentence));
    lines[0].prepend(made("strong", heading), " ");
    place.replaceChildren(...lines);
  }
  async function run() {
    const packet = "Verify the packet: holdfast evidence verify PACKET, or the verify.py in it.";
    try {
      answer("yes", "VERIFIED HERE", await verified());
    } catch (error) {
      if (error instanceof Unable) {
        answer("unable", "NOT VERIFIED HERE", [`This page could not be verified: ${error.message}.`, packet]);
        return;
      }
      const where = error.leaf === undefined ? "" : `Record ${error.leaf}: `;
      const words = error instanceof Failed ? error.message : `the program stopped: ${error}`;
      answer("no", "FAILED", [`${where}${words}.`, `Do not rely on this page. ${packet}`]);
    }
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", run);
  else run();
})();
