// The Azure DevOps provider of Microsoft behind Pulumi's Terraform bridge: a local build, not the official plugin.
//
// Only the table of names is made here. It follows the Python SDK: what the bridge's standard rule makes of a
// Terraform name is right for most; the exceptions are below. tests/rehearsal/toolchain compares the whole table.
package main

import (
	"github.com/microsoft/terraform-provider-azuredevops/azuredevops"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
)

const (
	pkg = "azuredevops"
	mod = "index"
)

// version is the Python SDK's: the engine asks for the plugin by that number. The linker sets it.
var version = "0.0.0-dev"

var resources = map[string]string{
	"agent_pool":                        "Pool",
	"agent_queue":                       "Queue",
	"git_repository":                    "Git",
	"iteration_permissions":             "IterativePermissions",
	"serviceendpoint_artifactory":       "ServiceEndpointArtifactory",
	"serviceendpoint_aws":               "ServiceEndpointAws",
	"serviceendpoint_azurecr":           "ServiceEndpointAzureEcr",
	"serviceendpoint_azuredevops":       "ServiceEndpointAzureDevOps",
	"serviceendpoint_azurerm":           "ServiceEndpointAzureRM",
	"serviceendpoint_bitbucket":         "ServiceEndpointBitBucket",
	"serviceendpoint_dockerregistry":    "ServiceEndpointDockerRegistry",
	"serviceendpoint_generic":           "ServiceEndpointGeneric",
	"serviceendpoint_generic_git":       "ServiceEndpointGenericGit",
	"serviceendpoint_github":            "ServiceEndpointGitHub",
	"serviceendpoint_github_enterprise": "ServiceEndpointGitHubEnterprise",
	"serviceendpoint_gitlab":            "ServiceEndpointGitLab",
	"serviceendpoint_kubernetes":        "ServiceEndpointKubernetes",
	"serviceendpoint_npm":               "ServiceEndpointNpm",
	"serviceendpoint_runpipeline":       "ServiceEndpointPipeline",
	"serviceendpoint_servicefabric":     "ServiceEndpointServiceFabric",
	"serviceendpoint_sonarcloud":        "ServiceEndpointSonarCloud",
	"serviceendpoint_sonarqube":         "ServiceEndpointSonarQube",
	"serviceendpoint_ssh":               "ServiceEndpointSsh",
	"user_entitlement":                  "User",
	"workitemquery_permissions":         "WorkItemQueryPermissions",
}

var dataSources = map[string]string{
	"agent_pool":              "getPool",
	"agent_pools":             "getPools",
	"git_repositories":        "getRepositories",
	"identity_user":           "getIdentityUsers",
	"serviceendpoint_azurerm": "getServiceEndpointAzureRM",
	"serviceendpoint_github":  "getServiceEndpointGithub",
}

func main() {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(azuredevops.Provider()),
		Name:         pkg,
		Version:      version,
		GitHubOrg:    "microsoft",
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Config: map[string]*tfbridge.SchemaInfo{
			"org_service_url": {Default: &tfbridge.DefaultInfo{EnvVars: []string{"AZDO_ORG_SERVICE_URL"}}},
		},
		Resources:   map[string]*tfbridge.ResourceInfo{},
		DataSources: map[string]*tfbridge.DataSourceInfo{},
	}
	for name, class := range resources {
		info.Resources[pkg+"_"+name] = &tfbridge.ResourceInfo{Tok: tfbridge.MakeResource(pkg, mod, class)}
	}
	for name, function := range dataSources {
		info.DataSources[pkg+"_"+name] = &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource(pkg, mod, function)}
	}
	info.MustComputeTokens(tokens.SingleModule(pkg+"_", mod, tokens.MakeStandard(pkg)))
	info.SetAutonaming(255, "-")
	// The engine asks a plugin for its schema only to generate SDKs, so the name alone will do.
	tfbridge.Main(pkg, version, info, []byte(`{"name":"azuredevops"}`))
}
