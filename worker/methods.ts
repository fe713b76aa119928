const READ_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method only reads, as far as Kubernetes is concerned. Kubernetes compares methods with regard to case. */
export function isReadMethod(method: string): boolean {
  return READ_METHODS.has(method);
}
