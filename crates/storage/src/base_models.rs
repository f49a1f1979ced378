//! Base models: what they are in a row, their files as objects.

use crate::{Result, SqliteStore, StorageError, store::BaseModelStore};
use async_trait::async_trait;
use domain::{Name, api::BaseModel};

#[async_trait]
impl BaseModelStore for SqliteStore {
    async fn insert_base_model(&self, new: &BaseModel) -> Result<BaseModel> {
        let about = serde_json::to_string(new).map_err(StorageError::unreadable("base model"))?;
        let mut tx = self.begin().await?;
        let insert =
            "INSERT INTO base_models (name, created_at, about) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
        let insert = sqlx::query(insert).bind(new.name.as_str()).bind(new.created_at.0).bind(about);
        let inserted = insert.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        if inserted == 1 {
            return Ok(new.clone());
        }
        let there = self.base_model(&new.name).await?;
        if there.files == new.files { Ok(there) } else { Err(StorageError::ModelConflict(new.name.to_string())) }
    }

    async fn base_model(&self, name: &Name) -> Result<BaseModel> {
        let select = sqlx::query_scalar("SELECT about FROM base_models WHERE name = $1").bind(name.as_str());
        let about: Option<String> = select.fetch_optional(self.read()).await?;
        read(&about.ok_or(StorageError::NotFound)?)
    }

    async fn list_base_models(&self) -> Result<Vec<BaseModel>> {
        let select = sqlx::query_scalar("SELECT about FROM base_models ORDER BY key DESC");
        let rows: Vec<String> = select.fetch_all(self.read()).await?;
        rows.iter().map(|about| read(about)).collect()
    }

    async fn delete_base_model(&self, name: &Name) -> Result<()> {
        let mut tx = self.begin().await?;
        let delete = sqlx::query("DELETE FROM base_models WHERE name = $1").bind(name.as_str());
        let deleted = delete.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        if deleted == 1 { Ok(()) } else { Err(StorageError::NotFound) }
    }
}

fn read(about: &str) -> Result<BaseModel> {
    serde_json::from_str(about).map_err(StorageError::unreadable("base model"))
}
