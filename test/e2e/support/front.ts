/** A fake of Cloudflare in front of a local Worker: Access with its applications, and the account's API. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import type { Plan } from "../../../tools/deployment/plan.ts";
import type { HttpAnswer } from "../../../tools/ports/http.ts";
import { type AccessState, type AccountState, answerApi, passAccess } from "../../support/cloudflare-fake.ts";

export interface FrontInput {
  readonly plan: Plan;
  readonly account: AccountState;
  readonly access: AccessState;
  /** Reaches the Worker without Access. */
  readonly workerUrl: string;
  /** Signs an application token for a service token, as Access does. */
  readonly sign: (audience: string, clientId: string) => string;
}

export class Front {
  readonly #server: Server;
  readonly #input: FrontInput;

  constructor(input: FrontInput) {
    this.#input = input;
    this.#server = createServer((incoming, answer) => {
      this.#serve(incoming, answer).catch((error: unknown) => answer.writeHead(500).end(String(error)));
    });
  }

  /** @returns its URL */
  async open(): Promise<string> {
    await new Promise<void>((listening) => this.#server.listen(0, "127.0.0.1", listening));
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get api(): string {
    return `${this.url}/client/v4`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { plan, account, access } = this.#input;
    const body = await text(incoming);
    const method = incoming.method === "POST" ? "POST" : "GET";
    const headers = incoming.headers as Record<string, string>;
    const path = incoming.url ?? "/";
    const api = answerApi({ url: `${this.url}${path}`, method, headers, body }, account, plan, this.api);
    if (api) return reply(answer, api);
    const passage = passAccess({ url: `http://${headers["host"]}${path}`, headers }, access, plan.access.teamDomain);
    if (!passage.passes) return reply(answer, passage.answer);
    const { token, audience, cookie } = passage;
    // Access removes every header with which a client could pose as Access.
    const passed = Object.fromEntries(
      Object.entries(headers).filter(([name]) => !name.startsWith("cf-") && name !== "cookie"),
    );
    if (token !== undefined) passed["cf-access-jwt-assertion"] = this.#input.sign(audience, token);
    const got = await forward(`${this.#input.workerUrl}${path}`, method, passed, body);
    reply(
      answer,
      cookie === undefined ? got : { ...got, headers: { ...got.headers, "set-cookie": `${cookie}; Secure` } },
    );
  }
}

async function text(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function reply(answer: ServerResponse, { status, headers, body }: HttpAnswer): void {
  const { "transfer-encoding": _, "content-length": __, "content-encoding": ___, ...rest } = headers;
  answer.writeHead(status, rest).end(body);
}

function forward(url: string, method: string, headers: Record<string, string>, body: string): Promise<HttpAnswer> {
  return new Promise((done, failed) => {
    const outgoing = send(url, { method, headers: { ...headers, "accept-encoding": "identity" } }, (incoming) => {
      text(incoming).then(
        (received) =>
          done({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers as Record<string, string>,
            body: received,
          }),
        failed,
      );
    });
    outgoing.on("error", failed);
    outgoing.end(body);
  });
}
