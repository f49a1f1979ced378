//! Home and system.

use crate::Service;
use domain::api::*;

impl Service {
    pub async fn home_get(&self, _request: GetHome) -> Result<Home, ApiError> { todo!() }
    pub async fn system_get(&self, _request: GetSystem) -> Result<System, ApiError> { todo!() }
}
