import { type Dispatcher, errors } from 'undici';

/** Interim answers (1xx) that may come before the one that counts. Registries have no use for a single one. */
const MAX_INTERIM = 16;

/**
 * Ends a request whose answer has no end of headers in time, counted from when it is sent: in undici each interim
 * answer begins the count anew, so that a server could send them for ever.
 * @param headersTimeout milliseconds
 */
export function finalHeadersWithin(headersTimeout: number): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    let timer: NodeJS.Timeout | undefined;
    let interim = 0;
    return dispatch(options, {
      onRequestStart(controller, context) {
        // It may be sent a second time, where the first met a connection that had just ended.
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(new errors.HeadersTimeoutError()), headersTimeout);
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade(controller, status, headers, socket) {
        clearTimeout(timer);
        handler.onRequestUpgrade?.(controller, status, headers, socket);
      },
      onResponseStart(controller, status, headers, text) {
        if (status >= 200) clearTimeout(timer);
        else if (++interim > MAX_INTERIM) controller.abort(new errors.HeadersOverflowError());
        handler.onResponseStart?.(controller, status, headers, text);
      },
      onResponseData: (controller, piece) => handler.onResponseData?.(controller, piece),
      onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
      onResponseError(controller, error) {
        clearTimeout(timer);
        handler.onResponseError?.(controller, error);
      },
    });
  };
}
