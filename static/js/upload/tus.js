// Bytes that go to our own server, by Uppy's Tus: pieces, each of which is kept, so that a broken upload goes on where it
// stopped. direct.js is the other way, straight to the store.

import Tus from "@uppy/tus";
import { verdictOf } from "./answers.js";
import { AT_ONCE, passing, RETRIES } from "./patience.js";
import { Session } from "./session.js";

const PIECE = 8 * 1024 * 1024;

/** `heard(ok, why)` is told whether our server took what was sent, and, where it says so, why not. */
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
