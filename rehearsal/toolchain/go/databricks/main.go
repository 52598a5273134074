// The Databricks provider behind Pulumi's Terraform bridge: a local build, not the official plugin.
//
// Only the table of names is made here; tests/rehearsal/toolchain compares it with the Python SDK.
package main

import (
	"github.com/databricks/terraform-provider-databricks/shim"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/walk"
)

const (
	pkg = "databricks"
	mod = "index"
)

// version is the Python SDK's: the engine asks for the plugin by that number. The linker sets it.
var version = "0.0.0-dev"

func main() {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(shim.SDKv2()),
		Name:         pkg,
		Version:      version,
		GitHubOrg:    "databricks",
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		// The SDK has no classes for these mounts, which Databricks has replaced long ago.
		IgnoreMappings: []string{
			"databricks_aws_s3_mount", "databricks_azure_adls_gen1_mount",
			"databricks_azure_adls_gen2_mount", "databricks_azure_blob_mount",
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"databricks_group": {
				Fields: map[string]*tfbridge.SchemaInfo{"display_name": tfbridge.AutoName("displayName", 255, "-")},
			},
			// `Provider` would be the provider itself.
			"databricks_provider": {Tok: tfbridge.MakeResource(pkg, mod, "MetastoreProvider")},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"databricks_aws_crossaccount_policy": {Tok: tfbridge.MakeDataSource(pkg, mod, "getAwsCrossAccountPolicy")},
		},
	}
	// The provider's newer part (`_pluginframework`) isn't in this build: the bridge would want a mapping for it.
	info.MustComputeTokens(tokens.SingleModule(pkg+"_", mod, tokens.MakeStandard(pkg)).Ignore("_pluginframework"))
	info.SetAutonaming(255, "-")
	tfbridge.MustTraverseProperties(&info, "workspace-id", workspaceIDAsString)
	// The engine asks a plugin for its schema only to generate SDKs, so the name alone will do.
	tfbridge.Main(pkg, version, info, []byte(`{"name":"databricks"}`))
}

// workspaceIDAsString: such an id fills 64 bits, more than Pulumi's numbers hold.
func workspaceIDAsString(property tfbridge.PropertyVisitInfo) (tfbridge.PropertyVisitResult, error) {
	path := property.SchemaPath()
	last, ok := path[len(path)-1].(walk.GetAttrStep)
	if !ok || last.Name != "workspace_id" {
		return tfbridge.PropertyVisitResult{}, nil
	}
	property.SchemaInfo().Type = "string"
	return tfbridge.PropertyVisitResult{HasEffect: true}, nil
}
