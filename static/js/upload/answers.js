// What our server's answer says of the file that was sent with it.

/** {status, reason, detail}, each empty where the answer says nothing; they come in headers. */
export function verdictOf(request) {
  const header = (name) => request?.getResponseHeader?.(name) || "";
  return {
    status: header("FindMe-Status"),
    reason: header("FindMe-Reason"),
    detail: decodeURIComponent(header("FindMe-Detail")),
  };
}
