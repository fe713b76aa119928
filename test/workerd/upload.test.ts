/** Uploads that are answered before their end. Over real connections: test/e2e/large-requests.test.ts. */
import { describe, expect, it } from "vitest";
import { Upload } from "../../worker/upstream/upload.ts";
import { eventually } from "../support/eventually.ts";
import { directlyAs, someone } from "./people.ts";

const PATH = "/api/v1/namespaces/demo/configmaps";
const PIECE = new Uint8Array(64 * 1024).fill(120);
const LIMITS = { maxBytes: 8 * PIECE.length, maxMs: 60_000, maxSilenceMs: 60_000 };
const ANSWER = "this is refused";

/** A body as a client sends it, piece by piece. */
function openBody(length?: number) {
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const writer = writable.getWriter();
  /** @returns how many pieces were read; fewer where nobody reads any more */
  const send = async (pieces: number) => {
    for (let sent = 0; sent < pieces; sent++) {
      try {
        await writer.write(PIECE);
      } catch {
        return sent;
      }
    }
    return pieces;
  };
  return { body: readable as ReadableStream<Uint8Array>, send, writer };
}

const post = (body: ReadableStream<Uint8Array>) => new Request("https://x/", { method: "POST", body });

function uploadOf(body: ReadableStream<Uint8Array>, limits = {}): Upload {
  const upload = Upload.of(post(body), { ...LIMITS, ...limits });
  if (!upload) throw new Error("no body");
  return upload;
}

const refusal = (headers = {}) => new Response(ANSWER, { status: 403, headers });

/** Reads as much as the answer has. */
async function readAnswer(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  while (text.length < ANSWER.length) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the answer has ended");
    text += new TextDecoder().decode(value);
  }
  return text;
}

function readerOf({ body }: Response) {
  if (!body) throw new Error("no body");
  return body.getReader();
}

describe("an answer that comes before the end of its upload", () => {
  it("is there in full at once, and ends after the body", async () => {
    const { body, send, writer } = openBody();
    const answer = readerOf(uploadOf(body).holdOpen(refusal()));
    expect(await readAnswer(answer)).toBe(ANSWER);
    const end = answer.read();
    expect(await send(5)).toBe(5);
    await writer.close();
    expect((await end).done).toBe(true);
  });

  it("ends the way to the cluster, which may have stopped reading without a word", async () => {
    const { body, send, writer } = openBody();
    const upload = uploadOf(body);
    const cluster = upload.forward().getReader();
    const sending = send(5);
    expect((await cluster.read()).done).toBe(false);
    const answer = readerOf(upload.holdOpen(refusal()));
    expect(await readAnswer(answer)).toBe(ANSWER);
    expect(await sending).toBe(5);
    await expect(cluster.read().then(() => cluster.read())).rejects.toThrow();
    await writer.close();
    expect((await answer.read()).done).toBe(true);
  });

  it("does not end that way before it ends itself: a workload may answer while it reads", async () => {
    const { body, send, writer } = openBody();
    const upload = uploadOf(body);
    const cluster = upload.forward().getReader();
    const { readable, writable } = new IdentityTransformStream();
    const workload = writable.getWriter();
    const answer = readerOf(upload.holdOpen(new Response(readable)));
    for (let turn = 0; turn < 5; turn++) {
      const sending = send(1);
      let bytes = 0;
      while (bytes < PIECE.length) bytes += (await cluster.read()).value?.length ?? 0;
      await sending;
      void workload.write(Uint8Array.of(turn));
      expect((await answer.read()).value).toEqual(Uint8Array.of(turn));
    }
    await writer.close();
    expect((await cluster.read()).done).toBe(true);
    void workload.close();
    expect((await answer.read()).done).toBe(true);
  });

  it.each<[string, object]>([
    ["sends without an end", { maxBytes: 3 * PIECE.length }],
    ["sends for too long", { maxMs: 0 }],
    ["sends nothing more, and waits", { maxSilenceMs: 50 }],
  ])("ends without the body of a client that %s", async (_, limits) => {
    const { body, send } = openBody();
    const answer = readerOf(uploadOf(body, limits).holdOpen(refusal()));
    const isSending = !("maxSilenceMs" in limits);
    if (isSending) void send(1_000_000);
    expect(await readAnswer(answer)).toBe(ANSWER);
    expect((await answer.read()).done).toBe(true);
  });

  it("comes through the whole edge, for what the cluster refuses and what Sallyport refuses", async () => {
    const fetch = async (_: unknown, { body }: RequestInit) => {
      const reader = (body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      await reader.cancel();
      return new Response("{}", { status: 413, headers: { "Content-Length": "2" } });
    };
    for (const [status, headers] of [
      [413, {}],
      [403, { Origin: "https://evil.example" }],
    ] as const) {
      const { body, send, writer } = openBody();
      const init = { method: "POST", headers, body };
      const answered = directlyAs(someone(), PATH, init, { bindings: { KUBE_API: { fetch } } });
      const sent = send(100);
      const response = await answered;
      expect(response.status).toBe(status);
      expect(await sent).toBe(100);
      await writer.close();
      expect(await response.text()).not.toBe("");
    }
  });
});

describe("an upload", () => {
  it("is as long as its client says", async () => {
    const { body, send, writer } = openBody(4 * PIECE.length);
    const forwarded = new Request("https://x/", { method: "POST", body: uploadOf(body).forward() });
    const arriving = forwarded.arrayBuffer();
    await send(4);
    await writer.close();
    expect((await arriving).byteLength).toBe(4 * PIECE.length);
  });

  it("whose client goes away does not look complete to the cluster", async () => {
    const { body, send, writer } = openBody();
    const arriving = new Response(uploadOf(body).forward()).arrayBuffer();
    await send(1);
    void writer.abort(new Error("the client went away"));
    await expect(arriving).rejects.toThrow();
  });

  it("that has been read leaves the answer as it is, and so does an encoded answer", async () => {
    const { body, send, writer } = openBody();
    const upload = uploadOf(body);
    const arriving = new Response(upload.forward()).arrayBuffer();
    const encoded = refusal({ "Content-Encoding": "gzip" });
    expect(upload.holdOpen(encoded)).toBe(encoded);
    await send(1);
    await writer.close();
    await arriving;
    await eventually(() => {
      const answer = refusal();
      expect(upload.holdOpen(answer)).toBe(answer);
    });
  });

  it("is left to the platform where it is small", () => {
    const sized = (bytes: number) => {
      const headers = { "Content-Length": String(bytes) };
      const request = new Request("https://x/", { method: "POST", body: "x", headers });
      return { request, upload: Upload.of(request) };
    };
    const answer = refusal();
    const small = sized(64 * 1024);
    expect(small.upload?.forward()).toBe(small.request.body);
    expect(small.upload?.holdOpen(answer)).toBe(answer);
    const larger = sized(64 * 1024 + 1);
    expect(larger.upload?.forward()).not.toBe(larger.request.body);
    expect(larger.upload?.holdOpen(answer)).not.toBe(answer);
  });

  it("is none without a body, and an empty one leaves the answer as it is", async () => {
    expect(Upload.of(new Request("https://x/"))).toBe(undefined);
    const { body, writer } = openBody();
    const upload = uploadOf(body);
    void writer.close();
    expect(await upload.isEmpty()).toBe(true);
    const answer = refusal();
    expect(upload.holdOpen(answer)).toBe(answer);
  });
});
