const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method only reads, as far as Kubernetes is concerned. By spelling: Kubernetes compares it exactly. */
export function isReadMethod(method: string): boolean {
  return READS.has(method);
}
