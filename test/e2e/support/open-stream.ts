export interface OpenStream {
  readonly status: number;
  readonly headers: Headers;
  /** The first piece of it. */
  readonly first: string;
  leave(): void;
}

/** Opens a stream, and reads what comes first. Of the rest nothing is read. */
export async function openStream(url: string, headers: Readonly<Record<string, string>> = {}): Promise<OpenStream> {
  const leaving = new AbortController();
  const response = await fetch(url, { headers, signal: leaving.signal });
  const reader = response.body?.getReader();
  const first = new TextDecoder().decode((await reader?.read())?.value);
  return { status: response.status, headers: response.headers, first, leave: () => leaving.abort() };
}
