import { env } from "cloudflare:workers";
import { eventually } from "../support/eventually.ts";

export interface UpstreamRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

type PuppetEvent =
  | ({ readonly event: "request" } & UpstreamRequest)
  | { readonly event: "text"; readonly data: string }
  | { readonly event: "end" }
  | { readonly event: "cancelled" }
  | { readonly event: "close"; readonly code: number; readonly reason: string };

/** An upstream that the test plays, see fakes/puppet.js. A puppet serves one request. */
export class Puppet {
  /** Use it as the name of a pod, or of any other object in a path. */
  readonly name: string;
  /** The client's messages as they arrived, or the chunks of its request body. */
  readonly received: (Uint8Array | string)[] = [];
  readonly #control: WebSocket;
  readonly #events: PuppetEvent[] = [];

  private constructor(name: string, control: WebSocket) {
    this.name = name;
    this.#control = control;
    control.binaryType = "arraybuffer";
    control.addEventListener("message", ({ data }) => this.#take(data as string | ArrayBuffer));
    control.accept();
  }

  /**
   * @param options.hold leaves an upgrade unanswered until `accept` or `refuse`
   * @param options.protocol the subprotocol to choose, instead of the last one offered
   */
  static async make({ hold, protocol }: { hold?: boolean; protocol?: string } = {}): Promise<Puppet> {
    const name = `puppet-${crypto.randomUUID()}`;
    const options = new URLSearchParams({ ...(hold && { hold: "" }), ...(protocol && { protocol }) });
    const response = await env.KUBE_API.fetch(`http://control/${name}?${options}`, {
      headers: { Upgrade: "websocket" },
    });
    if (!response.webSocket) throw new Error("no control socket");
    return new Puppet(name, response.webSocket);
  }

  /** A session's path at this pod. */
  path(query = "command=sh&stdin=true&stdout=true&stderr=true", subresource = "exec"): string {
    return `/api/v1/namespaces/demo/pods/${this.name}/${subresource}?${query}`;
  }

  send(data: Uint8Array | string): void {
    this.#control.send(typeof data === "string" ? JSON.stringify({ do: "text", data }) : data);
  }

  close(code?: number, reason?: string): void {
    this.#command({ do: "close", code, reason });
  }

  /** Breaks the connection without a close frame. The puppet cannot be used afterwards. */
  crash(): void {
    this.#command({ do: "crash" });
  }

  /** Reads nothing for so long, neither from the session nor from the test. */
  stall(ms: number): void {
    this.#command({ do: "stall", ms });
  }

  accept(status = 200, headers: Record<string, string> = {}): void {
    this.#command({ do: "accept", status, headers });
  }

  refuse(status: number, body: string, headers: Record<string, string> = {}): void {
    this.#command({ do: "refuse", status, body, headers });
  }

  get isAsked(): boolean {
    return this.#events.some(({ event }) => event === "request");
  }

  request(): Promise<UpstreamRequest> {
    return this.#event("request");
  }

  /** Resolves with the client's close as it reached the upstream. */
  async closed(): Promise<{ code: number; reason: string }> {
    const { code, reason } = await this.#event("close");
    return { code, reason };
  }

  /** Resolves when the request was cancelled. */
  async cancelled(): Promise<void> {
    await this.#event("cancelled");
  }

  /** Resolves when the request's body has arrived completely. */
  async bodyEnded(): Promise<void> {
    await this.#event("end");
  }

  #event<E extends PuppetEvent["event"]>(name: E): Promise<Extract<PuppetEvent, { event: E }>> {
    return eventually(() => {
      const found = this.#events.find(({ event }) => event === name);
      if (!found) throw new Error(`the upstream has seen no ${name}`);
      return found as Extract<PuppetEvent, { event: E }>;
    });
  }

  #take(data: string | ArrayBuffer): void {
    if (typeof data !== "string") {
      this.received.push(new Uint8Array(data));
      return;
    }
    const event = JSON.parse(data) as PuppetEvent;
    if (event.event === "text") this.received.push(event.data);
    else this.#events.push(event);
  }

  #command(command: object): void {
    this.#control.send(JSON.stringify(command));
  }
}
