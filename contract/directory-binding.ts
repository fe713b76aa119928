import type { DirectoryCalls } from "./directory.ts";

/**
 * What both Workers bind: `DurableObjectNamespace<DirectoryObject>`. They know the methods, and `fetch()` for what is
 * live.
 */
export interface DirectoryObject extends Rpc.DurableObjectBranded, DirectoryCalls {}
