//! Answers requests that no route is for.

use crate::error::Error;
use crate::exchange::Exchange;
use crate::runtime::Runtime;
use tidewire::http::{Found, Miss, Router};

impl<R: Runtime> Exchange<R> {
    /// What `router` has for this request. With `None` it has nothing, and the client was told so:
    /// `404`, `405` or the answer to OPTIONS with `Allow`, `501`, or `400` for a path that cannot be
    /// understood; see [`Miss`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server};
    /// # use tidewire_runtime::http::{NO_FIELDS, Router};
    /// enum Page { Home, User, Events }
    ///
    /// async fn answer<R: SendRuntime>(
    ///     router: &Router<Page>,
    ///     mut exchange: Exchange<R>,
    /// ) -> Result<(), HandlerError> {
    ///     let Some(found) = exchange.route(router).await? else { return Ok(()) };
    ///     match found.value {
    ///         Page::Home => exchange.respond("welcome").await?,
    ///         Page::User => {
    ///             let name = found.params.get("name").unwrap_or_default();
    ///             exchange.respond(format!("hello {name}")).await?;
    ///         }
    ///         Page::Events => exchange.event_stream(NO_FIELDS).await?.finish().await?,
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # async fn example<R: SendRuntime>(server: Server<R>) -> Result<(), HandlerError> {
    /// let router = Arc::new(
    ///     Router::new()
    ///         .route("GET", "/", Page::Home)?
    ///         .route("GET", "/users/{name}", Page::User)?
    ///         .route("GET", "/events", Page::Events)?,
    /// );
    /// let serving = server.serve(move |exchange| {
    ///     let router = router.clone();
    ///     async move { answer(&router, exchange).await }
    /// });
    /// # serving.await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`respond_with`](Self::respond_with), if there is no route.
    pub async fn route<'r, T>(
        &mut self,
        router: &'r Router<T>,
    ) -> Result<Option<Found<'r, T>>, Error> {
        let miss = match router.find(self.method(), self.path()) {
            Ok(found) => return Ok(Some(found)),
            Err(miss) => miss,
        };
        let allow = miss.allow().map(|allow| ("Allow", allow));
        if let Miss::Options { .. } = miss {
            self.respond_with(miss.status(), allow, "").await?;
        } else {
            let fields = [("Content-Type", "text/plain")].into_iter().chain(allow);
            self.respond_with(miss.status(), fields, miss.to_string()).await?;
        }
        Ok(None)
    }
}
