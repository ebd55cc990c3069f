// @google-cloud/storage, Google's Node client, against devgcs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

// The package is not beside this file: .ci/run installs it under target/.
const { Storage } = createRequire(`${process.env.TOOLS}/js/`)("@google-cloud/storage");

const storage = new Storage({
  apiEndpoint: process.env.DEVGCS,
  projectId: "outside",
  retryOptions: { maxRetries: 2, totalTimeout: 30 },
});
const bucket = storage.bucket(process.env.BUCKET);
const KIB = 1024;
const MIB = 1024 * KIB;

// Bytes that look random and are the same in every run.
function payload(size, seed = 1) {
  const pieces = [];
  for (let at = 0; at * 64 < size; at++) pieces.push(createHash("sha512").update(`${seed}:${at}`).digest());
  return Buffer.concat(pieces).subarray(0, size);
}

// `data` in pieces that fit no boundary.
function* pieces(data) {
  for (let at = 0; at < data.length; at += 77_777) yield data.subarray(at, at + 77_777);
}

async function same(name, data) {
  const [metadata] = await bucket.file(name).getMetadata();
  assert.equal(Number(metadata.size), data.length);
  assert.equal(metadata.md5Hash ?? "none", createHash("md5").update(data).digest("base64"));
  // The client checks the CRC32C of what it reads by itself.
  const [read] = await bucket.file(name).download({ validation: "crc32c" });
  assert.ok(read.equals(data), `${name} holds something else`);
}

function gcsd(args, input) {
  return execFileSync(process.env.GCSD, args, { input, timeout: 60_000, maxBuffer: 64 * MIB });
}

const tests = {
  "save, in one request, with metadata": async () => {
    const file = bucket.file("node/simple");
    await file.save("hello", { resumable: false, metadata: { contentType: "text/x-hello", metadata: { colour: "blue" } } });
    await same(file.name, Buffer.from("hello"));
    const [metadata] = await file.getMetadata();
    assert.equal(metadata.contentType, "text/x-hello");
    assert.deepEqual(metadata.metadata, { colour: "blue" });
  },
  "createWriteStream, resumable, one request": async () => {
    for (const size of [0, 1, 256 * KIB, 3 * MIB + 5]) {
      const data = payload(size);
      const out = bucket.file(`node/stream/${size}`).createWriteStream({ resumable: true, validation: "crc32c" });
      await pipeline(Readable.from(pieces(data)), out);
      await same(`node/stream/${size}`, data);
    }
  },
  "createWriteStream, resumable, 256 KiB chunks": async () => {
    for (const size of [1, 256 * KIB, 256 * KIB + 1, 3 * MIB + 5]) {
      const data = payload(size, 2);
      const out = bucket.file(`node/chunks/${size}`).createWriteStream({ resumable: true, chunkSize: 256 * KIB });
      await pipeline(Readable.from(pieces(data)), out);
      await same(`node/chunks/${size}`, data);
    }
  },
  "createWriteStream, resumed by uri": async () => {
    const data = payload(2 * MIB + 333, 3);
    const file = bucket.file("node/resumed");
    const [uri] = await file.createResumableUpload();
    const half = await fetch(uri, {
      method: "PUT",
      body: data.subarray(0, MIB),
      headers: { "content-range": `bytes 0-${MIB - 1}/*` },
    });
    assert.equal(half.status, 308);
    assert.equal(half.headers.get("range"), `bytes=0-${MIB - 1}`);
    const out = file.createWriteStream({ uri, offset: MIB, resumable: true, chunkSize: 256 * KIB, validation: false });
    await pipeline(Readable.from(pieces(data.subarray(MIB))), out);
    await same(file.name, data);
  },
  "createReadStream: ranges": async () => {
    const data = payload(3 * MIB + 5);
    const read = async (options) => {
      const got = [];
      const file = bucket.file(`node/stream/${data.length}`);
      for await (const piece of file.createReadStream({ validation: false, ...options })) got.push(piece);
      return Buffer.concat(got);
    };
    assert.ok((await read({ start: 1_000_000, end: 1_000_099 })).equals(data.subarray(1_000_000, 1_000_100)));
    assert.ok((await read({ start: 3 * MIB })).equals(data.subarray(3 * MIB)));
    assert.ok((await read({ end: -5 })).equals(data.subarray(-5)));
  },
  "preconditions: 412": async () => {
    const refused = bucket.file("node/simple").save("x", { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } });
    await assert.rejects(refused, { code: 412 });
  },
  "missing: 404": async () => {
    await assert.rejects(bucket.file("node/none").download(), { code: 404 });
    assert.deepEqual(await bucket.file("node/none").exists(), [false]);
  },
  "getFiles: prefix, delimiter, pages": async () => {
    for (const name of ["a", "b/1", "c"]) await bucket.file(`node/list/${name}`).save(name, { resumable: false });
    const all = [];
    let query = { prefix: "node/list/", maxResults: 2, autoPaginate: false };
    while (query) {
      const [files, next] = await bucket.getFiles(query);
      all.push(...files.map((file) => file.name));
      query = next;
    }
    assert.deepEqual(all, ["node/list/a", "node/list/b/1", "node/list/c"]);
    const [, , page] = await bucket.getFiles({ prefix: "node/list/", delimiter: "/", autoPaginate: false });
    assert.deepEqual(page.prefixes, ["node/list/b/"]);
  },
  "combine, copy, move, setMetadata, delete": async () => {
    await bucket.combine(["node/list/a", "node/list/b/1"], "node/combined");
    const [combined] = await bucket.file("node/combined").download();
    assert.equal(combined.toString(), "ab/1");
    await bucket.file("node/stream/1").copy("node/copied");
    await bucket.file("node/copied").move("node/moved");
    await same("node/moved", payload(1));
    await bucket.file("node/moved").setMetadata({ cacheControl: "no-store" });
    assert.equal((await bucket.file("node/moved").getMetadata())[0].cacheControl, "no-store");
    await bucket.file("node/moved").delete();
    assert.deepEqual(await bucket.file("node/moved").exists(), [false]);
  },
  "names with every kind of character": async () => {
    for (const name of ["node/a b", "node/#?&%25+", "node/ünïcödé/雪", "node//..//x", "node/'\"\\*[]"]) {
      await bucket.file(name).save(name, { resumable: true });
      await same(name, Buffer.from(name));
    }
  },
  "reads what gcsd wrote": async () => {
    const data = payload(6 * MIB + 5, 81);
    gcsd(["put", "-", `gs://${bucket.name}/node/gcsd`], data);
    await same("node/gcsd", data);
  },
  "writes what gcsd reads": async () => {
    const data = payload(6 * MIB + 5, 82);
    await bucket.file("node/for-gcsd").save(data, { resumable: true });
    assert.ok(gcsd(["get", `gs://${bucket.name}/node/for-gcsd`, "-"]).equals(data));
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`# ${String(error.stack ?? error).replaceAll("\n", "\n# ")}`);
    console.log(`not ok ${name}`);
  }
}
process.exit(failed ? 1 : 0);
