"""Keys of Render's Blueprint format that render.yaml may use.

Copied by hand on 2026-12-01 from https://render.com/docs/blueprint-spec and its JSON Schema,
https://render.com/schema/render.yaml.json. Only the kinds of objects that render.yaml has are listed. Compare with the
schema before adding a key here.
"""

ROOT_KEYS = {
    *("databases", "envVarGroups", "services"),
    *("previews", "projects", "ungrouped", "version"),
}
SERVER_KEYS = {
    *("type", "name", "region", "plan", "runtime", "repo", "branch", "image", "rootDir"),
    *("dockerCommand", "dockerContext", "dockerfilePath", "registryCredential"),
    *("numInstances", "scaling", "healthCheckPath", "maxShutdownDelaySeconds", "maintenanceMode"),
    *("buildCommand", "startCommand", "preDeployCommand", "initialDeployHook"),
    *("domain", "domains", "renderSubdomainPolicy", "ipAllowList"),
    *("envVars", "autoDeploy", "autoDeployTrigger", "buildFilter", "disk", "previews"),
}
SERVER_REQUIRED = {"type", "name", "runtime"}
KEY_VALUE_KEYS = {
    *("type", "name", "region", "ipAllowList", "plan", "previewPlan", "maxmemoryPolicy", "persistenceMode"),
}
KEY_VALUE_REQUIRED = {"type", "name", "ipAllowList"}
DATABASE_KEYS = {
    *("name", "databaseName", "user", "region", "plan", "diskSizeGB", "storageAutoscalingEnabled", "connectionPool"),
    *("previewPlan", "previewDiskSizeGB", "postgresMajorVersion", "highAvailability", "ipAllowList", "readReplicas"),
}
GROUP_KEYS = {"name", "envVars"}

VALUE_KEYS = {"key", "value", "generateValue", "sync", "previewValue"}
"""A variable with a value of its own; a group may have these only."""

REFERENCE_KEYS = {"fromDatabase", "fromService", "fromGroup"}
FROM_DATABASE_KEYS = {"name", "property"}
FROM_SERVICE_KEYS = {"type", "name", "property", "envVarKey"}
DATABASE_PROPERTIES = {"connectionString", "connectionPoolString", "host", "port", "user", "password", "database"}
SERVICE_PROPERTIES = {"host", "port", "hostport", "connectionString"}

REGIONS = {"oregon", "ohio", "frankfurt", "singapore", "virginia"}
RUNTIMES = {"docker", "elixir", "go", "image", "node", "python", "ruby", "rust", "static"}
SERVICE_PLANS = {"free", "starter", "standard", "pro", "pro plus", "pro max", "pro ultra"}
DATABASE_PLANS = {"free", "basic-256mb", "basic-1gb", "basic-4gb", "pro-4gb", "pro-8gb", "pro-16gb", "pro-32gb"}
POSTGRES_VERSIONS = {"13", "14", "15", "16", "17", "18"}
DEPLOY_TRIGGERS = {"off", "commit", "checksPass"}
PREVIEWS = {"automatic", "manual", "off"}
SHUTDOWN_DELAY = range(1, 301)
