/** HTTPS requests to the local stack, whose certificate authority no other program knows. */
import type { IncomingMessage } from "node:http";
import { request } from "node:https";

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends a request as `fetch` does, but follows no redirect. */
export async function fetchOver(ca: string, address: string | URL, asked: Asked = {}): Promise<Response> {
  const { method = "GET", headers = {}, body } = asked;
  const incoming = await new Promise<IncomingMessage>((answered, failed) => {
    // Otherwise Node.js would look for the Host header's name in the certificate.
    request(address, { ca, method, headers, agent: false, servername: "localhost" }, answered)
      .once("error", failed)
      .end(body);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const answer = new Headers();
  const { rawHeaders } = incoming;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    answer.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
  }
  return new Response(Buffer.concat(chunks).toString() || null, { status: incoming.statusCode ?? 0, headers: answer });
}
