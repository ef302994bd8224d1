// How bytes leave: to our own tus server, or straight to the store (direct.js). Both go on where they stopped, and
// both try for hours.

import Tus from "@uppy/tus";
import { Session } from "./session.js";

export const AT_ONCE = 5;
const PIECE = 8 * 1024 * 1024;
const SECOND = 1000;
const PAUSES = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND);
/** After the growing pauses one a minute, for a night. */
export const RETRIES = [...PAUSES, ...Array.from({ length: 600 }, () => 60 * SECOND)];

export const pause = (tried) =>
  new Promise((resolve) => {
    setTimeout(resolve, RETRIES[Math.min(tried, RETRIES.length - 1)]);
  });
export const passing = (status) => !status || status >= 500 || [408, 409, 423, 425, 429].includes(status);

/** Whether a chosen file is still there: its bytes stay on the card or drive until they are sent. */
export const isReadable = (data) =>
  data
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );

/** What an answer says of its file: {status, detail}; the headers are the server's. */
export function verdictOf(request) {
  const header = (name) => request?.getResponseHeader?.(name) || "";
  return {
    status: header("FindMe-Status"),
    reason: header("FindMe-Reason"),
    detail: decodeURIComponent(header("FindMe-Detail")),
  };
}

/** Through our own server. `heard(ok, why)` is told whether it took what was sent, and, where it says so, why not. */
export function sendByTus(uppy, { files, session, heard }) {
  uppy.use(Tus, {
    endpoint: files,
    limit: AT_ONCE,
    chunkSize: PIECE,
    retryDelays: RETRIES,
    removeFingerprintOnSuccess: true,
    allowedMetaFields: ["name", "type", "relativePath"],
    onBeforeRequest: async (request) => {
      await session.ready();
      request.setHeader("X-CSRFToken", session.token);
    },
    onShouldRetry: (error, _attempt, _options, byDefault) => {
      const answer = error.originalResponse;
      const request = answer?.getUnderlyingObject();
      const status = answer?.getStatus() ?? 0;
      if (session.isRefusal(status, request?.responseURL) || Session.isStale(status, verdictOf(request).reason)) {
        session.lose();
        return true;
      }
      if (passing(status)) heard(false, verdictOf(request).detail);
      // What was given up meanwhile begins anew with the next try. Only giving up itself has then what it wanted.
      const gone = status === 404 && verdictOf(request).reason === "upload_missing";
      return (gone && error.originalRequest.getMethod() !== "DELETE") || byDefault(error);
    },
  });
}
