/** Files of what a list shows: CSV for spreadsheets, JSON for programs. The API makes them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { pathOf, send } from "../api/client.ts";
import type { ApiFailure, Endpoint, Parts } from "../api/endpoints.ts";
import { Failure } from "./loading.tsx";

interface ExportProps<E extends Endpoint> {
  /** A list that takes `format=csv`. */
  readonly endpoint: E;
  readonly parts: Parts<E>;
  /** Of the file, without its ending. */
  readonly name: string;
}

export function ExportButtons<E extends Endpoint>({ endpoint, parts, name }: ExportProps<E>): JSX.Element {
  const [failure, setFailure] = useState<ApiFailure>();
  const save = async (format: "csv" | "json") => {
    const query = format === "csv" ? { ...parts.query, format } : parts.query;
    const sent = await send(pathOf(endpoint, { ...parts, ...(query && { query }) }));
    setFailure(sent.ok ? undefined : sent.error);
    if (sent.ok) download(`${name}.${format}`, await sent.value.blob());
  };
  return (
    <>
      <button type="button" onClick={() => void save("csv")}>
        Export CSV
      </button>
      <button type="button" onClick={() => void save("json")}>
        Export JSON
      </button>
      {failure && <Failure failure={failure} />}
    </>
  );
}

/** Gives the reader a file. */
function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the file over once the click is handled.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
